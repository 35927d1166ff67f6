/** System calls for sparse files, which Node lacks. Each answers a negative errno where it fails. */
export interface SparseCalls {
  /** fallocate(2) with FALLOC_FL_PUNCH_HOLE: the range reads as zeros, the size stays. 0, or a negative errno. */
  punchHole(fd: number, offset: number, length: number): number;
  /** lseek(2) with SEEK_HOLE or SEEK_DATA: where the next hole or data from `offset` on begins. */
  seek(fd: number, offset: number, forHole: boolean): number;
}
