/**
 * Names as strings. For the kernel a name is a row of bytes, most of them UTF-8; inside this program, in the state database and at
 * the services it is text.
 *
 * A byte that is not part of UTF-8 becomes a character of its own, U+EF80 for 0x80 to U+EFFF for 0xFF: private-use characters that
 * have this meaning elsewhere too (OPTU-16 of MirBSD, "raw octets" of the ConScript registry), and that a database or a service
 * takes like any other letter. Where a name contains one of these characters in UTF-8, its three bytes are written this way.
 *
 * Invariant: `encodeName(decodeName(bytes))` is `bytes`. So two names of the kernel are never one text.
 */

/** The character for the byte 0. Only those from 0x80 on are used. */
const base = 0xef00;
const escapes = /[\uef80-\uefff]/;
/** What only the slow way can decode: invalid bytes (for which Node has U+FFFD) and the characters of escapes. */
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

/** The character whose UTF-8 begins at `at`; undefined where there is none, or one of those that stand for bytes. */
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
  // Text of ASCII alone, which is most, has as many bytes as letters.
  return bytes === text.length || !escapes.test(text) ? bytes : encodeName(text).length;
}

/** Is this the text of a name? Not of two texts that would be the same bytes: the one of `decodeName` is. */
export function isNameText(text: string): boolean {
  return !escapes.test(text) || decodeName(encodeName(text)) === text;
}

/** The same text as a name for which `isNameText` holds: characters that stand for bytes become those of their own UTF-8. */
export function toNameText(text: string): string {
  return isNameText(text) ? text : decodeName(Buffer.from(text));
}
