/**
 * Names that this program gives to objects on their way to another: an upload that is not complete, a replaced version
 * that has stepped aside. A crash may leave some for the next mount to deal with; nobody is shown them meanwhile.
 */
const temporary = /^\.syncmount-(?:[\w-]+\.(?:part|old|probe)$|(?:old-)?[0-9a-f]{12}-)/;

/** A replaced version stays where a service does not delete; a removed file stays as long as it is open. Both names are for people. Before an extension, or at the end. */
const oldVersion = / \((?:old version|open file) kept by syncmount [0-9a-f]{12}\)(?:\.[^.]*)?$/;

export function isTemporaryName(name: string): boolean {
  return temporary.test(name) || oldVersion.test(name);
}

/** What makes `report.txt` `report (old version kept by syncmount 0123456789ab).txt`. */
export function oldVersionMark(hex: string): string {
  return ` (old version kept by syncmount ${hex})`;
}

/** The same for a file that was removed, as long as programs have it open. */
export function openFileMark(hex: string): string {
  return ` (open file kept by syncmount ${hex})`;
}
