/** The size of a content, and the ranges that its spool file holds; the journal stores it. */
export interface SpoolState {
  readonly size: number;
  readonly baseEnd: number;
  readonly present: readonly (readonly [number, number])[];
}

/** The state of a content of `size` bytes that needs no bytes of a base. */
export function completeState(size: number): SpoolState {
  return { size, baseEnd: 0, present: size === 0 ? [] : [[0, size]] };
}
