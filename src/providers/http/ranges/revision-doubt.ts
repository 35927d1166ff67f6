/**
 * Decides whether it is uncertain to which revision the bytes of a download belong. Pure. No document promises a header
 * that tells the revision, and a later one may have the same size.
 */
import { header } from '../answers/answer.js';

export interface RevisionSigns {
  /** The answer's validator (see `validatorOf`); undefined if it has none. */
  readonly validator: string | undefined;
  /** The validator of an earlier answer for this revision: '' if that had none, undefined if there was no answer. */
  readonly known: string | undefined;
  /** The answer is not the whole file: other answers bring the rest. */
  readonly isPart: boolean;
  /** No header says which bytes of the file these are. */
  readonly isUnproven: boolean;
  /** Last-Modified differs from the revision's time, and the revision has no checksum. */
  readonly isMisdated: boolean;
  /** The caller has bytes of the revision from before the first answer. */
  readonly hasEarlierBytes: boolean;
  /** The caller checks all bytes against their checksums before it uses any. */
  readonly isVerified: boolean;
}

/** True if the file must be looked up before bytes of this answer are used. */
export function isInDoubt(signs: RevisionSigns): boolean {
  const { validator, known } = signs;
  // A different validator only means doubt: another server of the service may have its own for the same content.
  if (validator !== undefined && known !== undefined) return validator !== known;
  if (signs.isUnproven || (known === undefined && signs.isMisdated)) return true;
  if (validator !== undefined) return signs.hasEarlierBytes;
  return !signs.isVerified && (signs.isPart || known !== undefined || signs.hasEarlierBytes);
}

/**
 * True if bytes of an answer in doubt may be used before the lookup that follows it. That is so only if no header of any answer has
 * told the revision, and nothing speaks against this one.
 */
export function mayBeProvenLater({ validator, known, isUnproven, isMisdated }: RevisionSigns): boolean {
  if (validator !== undefined || isUnproven) return false;
  return known === undefined ? !isMisdated : known === '';
}

/**
 * The answer's strong validator: its ETag unless that is weak, or its Last-Modified unless the file could have been
 * changed again within that second. Only strong validators tell one content from another (RFC 9110, 8.8.1 and 8.8.2.2).
 */
export function validatorOf(headers: Parameters<typeof header>[0]): string | undefined {
  const etag = header(headers, 'etag');
  if (etag?.startsWith('"')) return etag;
  const modified = header(headers, 'last-modified');
  const age = Date.parse(header(headers, 'date') ?? '') - Date.parse(modified ?? '');
  return age >= 1000 ? modified : undefined;
}
