/** System calls for sparse files that Node lacks. Each returns a negative errno if it fails. */
export interface SparseCalls {
  /** fallocate(2) with FALLOC_FL_PUNCH_HOLE: the range reads as zeros, the size stays. 0, or a negative errno. */
  punchHole(fd: number, offset: number, length: number): number;
  /** lseek(2) with SEEK_HOLE or SEEK_DATA: the start of the next hole or data from `offset` on. */
  seek(fd: number, offset: number, forHole: boolean): number;
}
