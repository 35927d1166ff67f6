/** Parses multipart/form-data (RFC 7578) as a stream. It never holds a whole part in memory. */

export interface FormPart {
  name: string;
  /** As the client sent it, also with a path. Absent in fields that are not files. */
  filename: string | undefined;
  body: AsyncGenerator<Buffer>;
}

/** The body is not what its Content-Type says. */
export class MultipartError extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'MultipartError';
  }
}

const mostHeaderBytes = 16 * 1024;

/** The boundary of a Content-Type of this kind. */
export function boundaryOf(contentType: string): string | undefined {
  const match = contentType.match(/;\s*boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))/i);
  return match?.[1] ?? match?.[2];
}

/** Yields one part after the other, and skips what the consumer does not read of a part. */
export async function* formParts(body: AsyncIterable<Buffer>, boundary: string): AsyncGenerator<FormPart> {
  const scanner = new Scanner(body);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  for await (const _preamble of scanner.until(delimiter));
  while (!(await scanner.takes('--'))) {
    const headers = await scanner.headers();
    const disposition = headers.match(/^content-disposition:\s*form-data\s*(;.*)$/im)?.[1];
    if (disposition === undefined) throw new MultipartError('a part has no Content-Disposition: form-data');
    const parameters = parametersOf(disposition);
    const name = parameters.get('name');
    if (name === undefined) throw new MultipartError('a part has no name');
    const content = scanner.until(delimiter);
    yield { name, filename: parameters.get('filename'), body: content };
    for await (const _rest of content);
  }
  await scanner.rest();
}

/** Clients escape quotes by a backslash (curl) or by percent-encoding (browsers, fetch). */
function parametersOf(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name = '', quoted, bare] of text.matchAll(/;\s*([\w*-]+)\s*=\s*(?:"((?:\\"|[^"])*)"|([^\s;]+))/g)) {
    if (found.has(name.toLowerCase())) throw new MultipartError(`${name} is given twice`);
    const plain = quoted?.replaceAll('\\"', '"').replace(/%(22|0D|0A)/g, (_, hex: string) => fromHex(hex));
    found.set(name.toLowerCase(), plain ?? bare ?? '');
  }
  return found;
}

const fromHex = (hex: string) => String.fromCharCode(Number.parseInt(hex, 16));

class Scanner {
  readonly #source: AsyncIterator<Buffer>;
  /** Begins with a line end, so that a delimiter at the start of the body is found like the others. */
  #buffer: Buffer = Buffer.from('\r\n');

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Yields everything before the delimiter, and consumes the delimiter too. */
  async *until(delimiter: Buffer): AsyncGenerator<Buffer> {
    for (;;) {
      const at = this.#buffer.indexOf(delimiter);
      if (at >= 0) {
        const before = this.#buffer.subarray(0, at);
        this.#buffer = this.#buffer.subarray(at + delimiter.length);
        if (before.length > 0) yield before;
        return;
      }
      const sure = this.#buffer.length - delimiter.length + 1;
      if (sure > 0) {
        const piece = this.#buffer.subarray(0, sure);
        this.#buffer = this.#buffer.subarray(sure);
        yield piece;
      }
      await this.#more();
    }
  }

  /** Returns whether `text` comes next, and if so consumes it. */
  async takes(text: string): Promise<boolean> {
    while (this.#buffer.length < text.length) await this.#more();
    if (this.#buffer.toString('latin1', 0, text.length) !== text) return false;
    this.#buffer = this.#buffer.subarray(text.length);
    return true;
  }

  async headers(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf('\r\n\r\n');
      if (end >= 0) {
        const text = this.#buffer.toString('utf8', 0, end);
        this.#buffer = this.#buffer.subarray(end + 4);
        return text;
      }
      if (this.#buffer.length > mostHeaderBytes) throw new MultipartError("a part's headers are too long");
      await this.#more();
    }
  }

  /** Skips everything after the last delimiter. */
  async rest(): Promise<void> {
    while (!(await this.#source.next()).done);
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#source.next();
    if (done) throw new MultipartError('the body ends before its closing delimiter');
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value]);
  }
}
