/** Names that a service changes without a word. No document says under which names objects are kept. */

/**
 * - `asked`    as the client asked for
 * - `cleaned`  NFC, without control characters, `_` for what Windows forbids, without blanks at the ends and dots at the end, cut
 * - `folded`   the same in lower case
 */
export type StoredNames = 'asked' | 'cleaned' | 'folded';
/** Whether the answer to a change already has the name that is kept, or still the one that was asked for. Listings have the kept one. */
export type ToldNames = 'kept' | 'asked';

/** UTF-16 units. */
const longest = 200;

/** The name under which the service keeps an object that a client wants to call `name`. */
export function keptName(name: string, reading: StoredNames): string {
  if (reading === 'asked') return name;
  const clean = name
    .normalize('NFC')
    .replace(/\p{Cc}/gu, '')
    .replace(/[\\:*?"<>|]/g, '_');
  const kept =
    clean
      .trimStart()
      .slice(0, longest)
      .toWellFormed()
      .replace(/[. ]+$/, '') || '_';
  return reading === 'folded' ? kept.toLowerCase() : kept;
}

/** Keeps the requested names of objects: the next answer about an object has that name if the service does not tell the stored one. */
export class AskedNames<T extends { name: string }> {
  readonly #asked = new WeakMap<T, string>();

  constructor(private readonly readings: { readonly storedNames: StoredNames; readonly toldNames: ToldNames }) {}

  /** Gives the object the name that the service keeps. */
  keep(object: T): void {
    const kept = keptName(object.name, this.readings.storedNames);
    if (kept === object.name) return;
    if (this.readings.toldNames === 'asked') this.#asked.set(object, object.name);
    object.name = kept;
  }

  /** The name for an answer about the object alone. */
  told(object: T): string {
    const asked = this.#asked.get(object);
    this.#asked.delete(object);
    return asked ?? object.name;
  }
}
