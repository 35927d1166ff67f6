/**
 * Names that this program gives to objects for a time: an incomplete upload, a replaced version that was renamed to free
 * its name. No directory shows them. After a crash, the next mount removes those that its journal names. The others may
 * belong to another machine that is at work.
 */
const temporary = /^\s*\.syncmount-(?:[\w-]+\.(?:part|old|probe)$|(?:old-)?[0-9a-f]{12}-)/;

/**
 * A replaced version that the service cannot delete, or a removed file that programs still have open. People may see both
 * names at the service. The mark stands before the extension, or at the end.
 */
const oldVersion = / \((?:old version|open file) kept by syncmount [0-9a-f]{12}\)(?:\.[^.]*)?$/;

export function isTemporaryName(name: string): boolean {
  // Every name of every listing is tested here, and most contain no mark: a cheap test goes first.
  return name.includes('syncmount') && (temporary.test(name) || oldVersion.test(name));
}

/** Removes the mark from the name of a kept file. Leaves any other name as it is. */
export function withoutMark(name: string): string {
  return name.replace(/ \((?:old version|open file) kept by syncmount [0-9a-f]{12}\)(?=(?:\.[^.]*)?$)/, '');
}

/** The mark in `report (old version kept by syncmount 0123456789ab).txt`. */
export function oldVersionMark(hex: string): string {
  return ` (old version kept by syncmount ${hex})`;
}

/** The mark in the name of a removed file that programs still have open. */
export function openFileMark(hex: string): string {
  return ` (open file kept by syncmount ${hex})`;
}
