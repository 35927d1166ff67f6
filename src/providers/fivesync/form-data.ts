/**
 * The body of `PUT /files`: multipart/form-data. The folder comes first, so that a server that parses the body as a stream
 * knows it before the file.
 *
 * Programs differ in how they write a file name with quotes or non-ASCII characters, and servers differ in the form that
 * they read. The name in the answer shows whether the server understood the form.
 */
import { randomBytes } from 'node:crypto';
import type { UploadSource } from '../content.js';
import { contentOf } from '../http/transport/content.js';
import type { Content } from '../http/transport/wire.js';

/**
 * - `percent`    as browsers do (the WHATWG form-data algorithm): UTF-8, `"` as `%22`
 * - `backslash`  as older versions of curl do: UTF-8, `"` as `\"`
 * - `extended`   RFC 5987's `filename*`, beside an ASCII approximation
 */
export const nameForms = ['percent', 'backslash', 'extended'] as const;
export type NameForm = (typeof nameForms)[number];

/** True if all forms write this name in the same way. */
export function isPlainName(name: string): boolean {
  return /^[\x20-\x7e]*$/.test(name) && !/["\\%/]/.test(name);
}

export function dispositionOf(name: string, form: NameForm): string {
  const oneLine = name.replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  switch (form) {
    case 'percent':
      return `filename="${oneLine.replace(/"/g, '%22')}"`;
    case 'backslash':
      return `filename="${oneLine.replace(/[\\"]/g, '\\$&')}"`;
    case 'extended': {
      const ascii = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
      const encoded = encodeURIComponent(name).replace(
        /['()*]/g,
        (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
      );
      return `filename="${ascii}"; filename*=UTF-8''${encoded}`;
    }
  }
}

export function formData(
  fields: Readonly<Record<string, string>>,
  file: { readonly name: string; readonly form: NameForm; readonly source: UploadSource },
  onProgress?: (sent: number) => void,
): { readonly content: Content; readonly contentType: string } {
  const boundary = `syncmount-${randomBytes(12).toString('hex')}`;
  const texts = Object.entries(fields).map(
    ([key, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`,
  );
  const disposition = `Content-Disposition: form-data; name="file"; ${dispositionOf(file.name, file.form)}`;
  const head = Buffer.from(
    `${texts.join('')}--${boundary}\r\n${disposition}\r\nContent-Type: application/octet-stream\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const { source } = file;
  const ofSource = (sent: number): number => Math.max(0, Math.min(source.size, sent - head.length));
  const content = contentOf(source, { head, tail, onProgress: onProgress && ((sent) => onProgress(ofSource(sent))) });
  return { content, contentType: `multipart/form-data; boundary=${boundary}` };
}
