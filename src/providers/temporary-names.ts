/**
 * Names that this program gives to objects on their way to another: an upload that is not complete, a replaced version
 * that has stepped aside. A crash may leave some for the next mount to deal with; nobody is shown them meanwhile.
 */
const temporary = /^\.syncmount-(?:[\w-]+\.(?:part|old|probe)$|(?:old-)?[0-9a-f]{12}-)/;

export function isTemporaryName(name: string): boolean {
  return temporary.test(name);
}
