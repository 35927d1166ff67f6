/**
 * Characters that a terminal obeys instead of showing them, or that make a text look like another one: control characters (C0, DEL,
 * C1), line and paragraph separators, marks that change the direction of writing (all of Unicode's `Bidi_Control`), zero-width
 * characters, tags, and lone surrogates.
 */
const unprintable =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\u{ad}\u{180e}\u{200b}\u{2060}-\u{2064}\u{206a}-\u{206f}\u{feff}\u{fff9}-\u{fffb}\u{e0000}-\u{e007f}]/gu;

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** An untrusted text (a name, a server's message) as one harmless line: unprintable characters are escaped, as `\x1b`. */
export function printable(text: string): string {
  return text.replace(unprintable, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x100) return short[character] ?? `\\x${hex(code, 2)}`;
    return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 1)}}`;
  });
}

/** The same JSON with unprintable characters escaped; line breaks between values stay. */
export function printableJson(json: string): string {
  return json.replace(unprintable, (character) => {
    if (character === '\n') return character;
    return Array.from({ length: character.length }, (_, at) => `\\u${hex(character.charCodeAt(at), 4)}`).join('');
  });
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
