/**
 * Names as strings. For the kernel a name is a sequence of bytes, usually UTF-8. Inside this program, in the state database and at
 * the services it is text.
 *
 * A byte that is not part of UTF-8 becomes a character of its own, U+EF80 for 0x80 to U+EFFF for 0xFF. These private-use characters
 * have this meaning elsewhere too (OPTU-16 of MirBSD, "raw octets" of the ConScript registry), and a database or a service takes them
 * like any other letter. If a name contains one of these characters in UTF-8, its three bytes are written this way, too.
 *
 * Invariant: `encodeName(decodeName(bytes))` is `bytes`. So two different names of the kernel never become the same text.
 */

/** The code of byte 0's character. Only those of 0x80 and above are used. */
const base = 0xef00;
const escapes = /[\uef80-\uefff]/;
/** Characters that need the slow way: U+FFFD, which Node writes for invalid bytes, and the escape characters. */
const doubtful = /[\ufffd\uef80-\uefff]/;

export function decodeName(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  return doubtful.test(text) ? decodeBytes(bytes) : text;
}

function decodeBytes(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at);
    if (character === undefined) text += String.fromCharCode(base + (bytes[at++] as number));
    else {
      text += character;
      at += Buffer.byteLength(character);
    }
  }
  return text;
}

/** The character whose UTF-8 begins at `at`. Undefined if there is none, or if it is one that stands for a byte. */
function characterAt(bytes: Buffer, at: number): string | undefined {
  const lead = bytes[at] as number;
  const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  const part = bytes.subarray(at, at + length);
  const text = part.toString('utf8');
  const isOne = text.codePointAt(0) !== undefined && text.length === ((text.codePointAt(0) as number) > 0xffff ? 2 : 1);
  return isOne && !escapes.test(text) && Buffer.from(text).equals(part) ? text : undefined;
}

export function encodeName(text: string): Buffer {
  if (!escapes.test(text)) return Buffer.from(text);
  const parts: Buffer[] = [];
  for (const part of text.split(/([\uef80-\uefff]+)/)) {
    if (!escapes.test(part)) parts.push(Buffer.from(part));
    else parts.push(Buffer.from(Array.from(part, (character) => character.charCodeAt(0) - base)));
  }
  return Buffer.concat(parts);
}

/** Bytes that the name has for the kernel. */
export function nameBytes(text: string): number {
  const bytes = Buffer.byteLength(text);
  // Most names are pure ASCII, with as many bytes as letters.
  return bytes === text.length || !escapes.test(text) ? bytes : encodeName(text).length;
}

/** Is this the text of a name? If two texts stand for the same bytes, only the one that `decodeName` returns is. */
export function isNameText(text: string): boolean {
  return !escapes.test(text) || decodeName(encodeName(text)) === text;
}

/** The text as a name for which `isNameText` holds: each byte of a stray escape character's UTF-8 becomes an escape character. */
export function toNameText(text: string): string {
  return isNameText(text) ? text : decodeName(Buffer.from(text));
}
