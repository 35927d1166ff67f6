/**
 * Pages of a list. A page with the same bytes as an earlier one need not be read again.
 *
 * To parse and check a page takes thirty times as long as to see that it has the same bytes as an earlier one. Most listings do not
 * change, so a folder that is listed once a minute costs little more than its requests.
 */
import { createHash, hash } from 'node:crypto';
import { forEachInTurns, turn } from '../../base/event-loop-turns.js';
import { ProviderError } from '../errors.js';
import { BadEntry, maxEntries } from '../http/answers/entries.js';

/** Up to this many digests are compared one after the other. */
const searchedPages = 8;

/** The pages of a list in their order: the digest of the bytes of each, and its number of entries. */
export class KnownPages {
  readonly #digests: string[] = [];
  readonly #lengths: number[] = [];
  /** The place of each digest. Made only for many pages, because most lists have one or two. */
  #places: Map<string, number> | null = null;

  add({ digest, length }: Pick<Page<unknown>, 'digest' | 'length'>): void {
    // The number of empty pages depends on the known count, not on the list.
    if (length === 0) return;
    this.#digests.push(digest);
    this.#lengths.push(length);
    this.#places?.set(digest, this.#digests.length - 1);
    if (this.#places === null && this.#digests.length > searchedPages)
      this.#places = new Map(this.#digests.map((one, at) => [one, at]));
  }

  /** The number of entries of a page; undefined if no page has this digest. */
  lengthOf(digest: string): number | undefined {
    const at = this.#places === null ? this.#digests.indexOf(digest) : this.#places.get(digest);
    return at === undefined ? undefined : this.#lengths[at];
  }

  isSameAs(other: KnownPages): boolean {
    if (this.#digests.length !== other.#digests.length) return false;
    return this.#digests.every((digest, at) => digest === other.#digests[at]);
  }
}

export interface Page<T> {
  readonly digest: string;
  /** Entries. */
  readonly length: number;
  /** It has the same bytes as a page of the earlier listing. */
  readonly isKnown: boolean;
  read(): Promise<(T | BadEntry)[]>;
}

/** Characters that are hashed in one turn of the event loop: two milliseconds. */
const digestedAtOnce = 1024 * 1024;

async function digestOf(text: string): Promise<string> {
  // A hash object for each page would use memory outside of the heap, which the garbage collector does not see.
  if (text.length <= digestedAtOnce) return hash('sha1', text, 'base64');
  const sum = createHash('sha1');
  for (let at = 0; at < text.length; at += digestedAtOnce) {
    if (at > 0) await turn();
    sum.update(text.slice(at, at + digestedAtOnce));
  }
  return sum.digest('base64');
}

/** `read` parses and checks the page. It is called at once for a new page, and later or never for a known one. */
export async function pageOf<T>(
  text: string,
  earlier: KnownPages | undefined,
  read: () => Promise<(T | BadEntry)[]>,
): Promise<Page<T>> {
  const digest = await digestOf(text);
  const length = earlier?.lengthOf(digest);
  if (length !== undefined) return { digest, length, isKnown: true, read };
  const entries = await read();
  return { digest, length: entries.length, isKnown: false, read: () => Promise.resolve(entries) };
}

/** Collects the pages of one list: the entries, each id once. Known pages are read only after a new one has come. */
export class PageCollector<T extends { readonly id: string }> {
  /** For the next listing. */
  readonly pages = new KnownPages();
  readonly #earlier: KnownPages | undefined;
  readonly #byId = new Map<string, T>();
  readonly #bad: BadEntry[] = [];
  /** Known pages that were not read; null once all pages are. */
  #unread: Page<T>[] | null;

  constructor(earlier: KnownPages | undefined) {
    this.#earlier = earlier;
    this.#unread = earlier === undefined ? null : [];
  }

  /** True if the page brings something new. Throws `protocol` beyond `maxEntries`. */
  async add(page: Page<T>): Promise<boolean> {
    const isRepeated = this.pages.lengthOf(page.digest) !== undefined;
    this.pages.add(page);
    if (this.#unread !== null && (page.isKnown || page.length === 0)) {
      this.#unread.push(page);
      return !isRepeated && page.length > 0;
    }
    await this.#readUnread();
    const before = this.#size;
    await this.#read(page);
    return this.#size > before;
  }

  /** True if the same pages came in the same order as in the earlier listing. */
  get isSame(): boolean {
    return this.#unread !== null && this.#earlier !== undefined && this.pages.isSameAs(this.#earlier);
  }

  async entries(): Promise<(T | BadEntry)[]> {
    await this.#readUnread();
    return [...this.#byId.values(), ...this.#bad];
  }

  get #size(): number {
    return this.#byId.size + this.#bad.length;
  }

  async #readUnread(): Promise<void> {
    const unread = this.#unread ?? [];
    this.#unread = null;
    for (const page of unread) await this.#read(page);
  }

  async #read(page: Page<T>): Promise<void> {
    await forEachInTurns(await page.read(), (entry) => {
      if (entry instanceof BadEntry) this.#bad.push(entry);
      else this.#byId.set(entry.id, entry);
    });
    if (this.#size > maxEntries)
      throw new ProviderError('protocol', 'the server lists more than a folder can hold', { data: {} });
  }
}
