/** Directories as the document writes them, such as `/documents`, and names of files. */
import { badRequest } from './errors.js';

const longestName = 255;

/** An absolute path. Only the root ends in a slash. */
export function directory(text: string): string {
  if (!text.startsWith('/')) throw badRequest(`path must begin with a slash, as in /documents: ${text}`);
  const names = text.replace(/\/$/, '').split('/').slice(1);
  for (const name of names) fileName(name);
  return `/${names.join('/')}`;
}

export function fileName(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) throw badRequest(`'${name}' is no name`);
  if (name.length > longestName) throw badRequest(`A name has at most ${longestName} characters.`);
  return name;
}

/** `/documents/report.pdf` or `documents/report.pdf`. */
export function splitPath(path: string): { dir: string; name: string } {
  const absolute = path.startsWith('/') ? path : `/${path}`;
  const slash = absolute.lastIndexOf('/');
  return { dir: directory(absolute.slice(0, slash) || '/'), name: fileName(absolute.slice(slash + 1)) };
}

export function isBelow(dir: string, top: string): boolean {
  return dir === top || top === '/' || dir.startsWith(`${top}/`);
}
