/**
 * Does an answer to a download leave it open of which revision its bytes are? Pure. No document promises a header that
 * says so, and a later revision may have the very same size.
 */

import { header } from '../answers/answer.js';

export interface RevisionSigns {
  /** What this answer calls the revision; undefined where it does not say. */
  readonly validator: string | undefined;
  /** What an earlier answer called it: '' for nothing, undefined where there was none. */
  readonly known: string | undefined;
  /** Not the whole file at once: other answers bring the rest of it. */
  readonly isPart: boolean;
  /** No header says which bytes these are. */
  readonly isUnproven: boolean;
  /** It speaks of another time than the revision has, whose content has no checksum. */
  readonly isMisdated: boolean;
  /** Bytes of the revision are here from earlier than the first answer. */
  readonly continues: boolean;
  /** The caller compares all bytes before any is given out. */
  readonly isCompared: boolean;
}

/** Must the file be asked for before bytes of this answer are given to anybody? */
export function isInDoubt(signs: RevisionSigns): boolean {
  const { validator, known } = signs;
  // Another one for equal content is possible (another server of theirs), and one where there was none.
  if (validator !== undefined && known !== undefined) return validator !== known;
  if (signs.isUnproven || (known === undefined && signs.isMisdated)) return true;
  if (validator !== undefined) return signs.continues;
  return !signs.isCompared && (signs.isPart || known !== undefined || signs.continues);
}

/**
 * What an answer calls the revision: its ETag, unless that is a weak one, or its Last-Modified, unless the file could have
 * been changed again within that second (RFC 9110, 8.8.1 and 8.8.2.2: no others tell one content from another).
 */
export function validatorOf(headers: Parameters<typeof header>[0]): string | undefined {
  const etag = header(headers, 'etag');
  if (etag?.startsWith('"')) return etag;
  const modified = header(headers, 'last-modified');
  const age = Date.parse(header(headers, 'date') ?? '') - Date.parse(modified ?? '');
  return age >= 1000 ? modified : undefined;
}
