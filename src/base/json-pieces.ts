/** JSON of an answer that may have a hundred thousand entries, in pieces, so that the event loop has turns in between. */
import { entriesPerTurn } from './event-loop-turns.js';

/** The pieces of `JSON.stringify(value)`. Long arrays are cut, also in the properties of an object. */
export function* jsonPieces(value: unknown): Generator<string, void> {
  if (Array.isArray(value) && value.length > entriesPerTurn) {
    for (let at = 0; at < value.length; at += entriesPerTurn) {
      const part = JSON.stringify(value.slice(at, at + entriesPerTurn)).slice(1, -1);
      yield at === 0 ? `[${part}` : `,${part}`;
    }
    yield ']';
  } else if (isPlain(value)) {
    let before = '{';
    for (const [key, one] of Object.entries(value)) {
      // As JSON.stringify does.
      if (one === undefined || typeof one === 'function' || typeof one === 'symbol') continue;
      yield `${before}${JSON.stringify(key)}:`;
      yield* jsonPieces(one);
      before = ',';
    }
    yield before === '{' ? '{}' : '}';
  } else yield JSON.stringify(value) ?? 'null';
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.getPrototypeOf(value) === Object.prototype &&
    !('toJSON' in value)
  );
}
