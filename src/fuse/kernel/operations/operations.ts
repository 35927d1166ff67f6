/**
 * Every request that is understood, by opcode.
 *
 * What is missing is answered with ENOSYS, to which the kernel does it by itself or never asks again: ACCESS (the kernel
 * checks, by default_permissions), locks, IOCTL, POLL, BMAP, TMPFILE, STATX.
 */

import { opcode } from '../protocol/protocol.js';
import { interruptIn } from '../protocol/structs.js';
import * as attributes from './attribute-operations.js';
import * as directories from './directory-operations.js';
import * as files from './file-operations.js';
import * as names from './name-operations.js';
import type { Operation } from './operation.js';

/** The answer to the interrupted request is the answer to this. */
const interrupt: Operation<void> = {
  minimum: interruptIn.$bytes,
  silent: true,
  call: ({ interrupts }, { view, body }) => interrupts.signalled(interruptIn.unique.get(view, body)),
};

const destroy: Operation<void> = { minimum: 0, call: () => undefined };

/** FUSE_INIT comes before there is anything to talk about: session.ts. */
type Listed = Exclude<keyof typeof opcode, 'init' | 'access'>;

const byName: Readonly<Record<Listed, Operation<unknown>>> = {
  ...attributes,
  ...directories,
  ...files,
  ...names,
  interrupt,
  destroy,
};

export interface NamedOperation extends Operation<unknown> {
  readonly name: string;
}

/** Indexed by opcode. */
export const operations: readonly (NamedOperation | undefined)[] = (() => {
  const table: (NamedOperation | undefined)[] = [];
  for (const [name, operation] of Object.entries(byName)) table[opcode[name as Listed]] = { name, ...operation };
  return table;
})();
