/** Requests about open directories; `connection/directory-handles.ts` holds their state. */
import { andThen } from '../../answers.js';
import type { RequestCaller } from '../connection/caller.js';
import type { Connection } from '../connection/connection.js';
import type { Stream } from '../connection/directory-handles.js';
import { encodeOpen } from '../protocol/reply-buffer.js';
import { fsyncIn, openIn, readIn, releaseIn } from '../protocol/structs.js';
import type { Operation } from './operation.js';

export const opendir: Operation<{ handle: number; flags: number }> = {
  minimum: openIn.$bytes,
  call: ({ directories, nodes }, request) => directories.open(nodes.inoOf(request.nodeid)),
  encode: (_, reply, { handle, flags }) => encodeOpen(reply.view, reply.body, handle, flags),
  sent({ directories }, { handle }, taken) {
    if (!taken) directories.release(handle);
  },
};

interface Chunk {
  readonly stream: Stream;
  readonly offset: number;
  readonly size: number;
}

function list(plus: boolean): Operation<Chunk> {
  return {
    minimum: readIn.$bytes,
    call({ directories }, { view, body }, caller: RequestCaller) {
      const offset = readIn.offset.get(view, body);
      const size = readIn.size.get(view, body);
      const stream = directories.prepare(readIn.fh.get(view, body), offset, caller);
      return andThen(stream, (ready) => ({ stream: ready, offset, size }));
    },
    encode: ({ directories }, reply, { stream, offset, size }) => directories.fill(stream, offset, size, plus, reply),
    sent({ directories, nodes }: Connection, _, taken) {
      if (plus && taken) for (const ino of directories.given) nodes.reference(ino);
    },
  };
}

export const readdir = list(false);
export const readdirplus = list(true);

export const releasedir: Operation<void> = {
  minimum: releaseIn.$bytes,
  call: ({ directories }, { view, body }) => directories.release(releaseIn.fh.get(view, body)),
};

export const fsyncdir: Operation<void> = {
  minimum: fsyncIn.$bytes,
  call: ({ fs, nodes }, { nodeid }, caller) => fs.fsyncDirectory(nodes.inoOf(nodeid), caller),
};
