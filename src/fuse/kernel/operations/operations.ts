/**
 * The handlers of all supported requests, by opcode.
 *
 * Other requests are answered with ENOSYS. The kernel then handles them itself, or does not send them again: ACCESS (the
 * kernel checks because of default_permissions), locks, IOCTL, POLL, BMAP, STATX.
 */

import { opcode } from '../protocol/protocol.js';
import { interruptIn } from '../protocol/structs.js';
import * as attributes from './attribute-operations.js';
import * as directories from './directory-operations.js';
import * as files from './file-operations.js';
import * as names from './name-operations.js';
import type { Operation } from './operation.js';

/** INTERRUPT itself has no answer: the interrupted request is answered instead. */
const interrupt: Operation<void> = {
  minimum: interruptIn.$bytes,
  silent: true,
  call: ({ interrupts }, { view, body }) => interrupts.signalled(interruptIn.unique.get(view, body)),
};

const destroy: Operation<void> = { minimum: 0, call: () => undefined };

/** fuse-session.ts handles FUSE_INIT, because it comes before everything else. */
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

/** The names of the operations with an answer, by opcode; for counting. */
export const operationNames = operations.map((operation) => (operation?.silent ? undefined : operation?.name));
