/** Pinned files and bytes, and those of them that are not here yet. */
export interface PinCounts {
  readonly files: number;
  readonly bytes: number;
  /** Files and bytes that are not here yet. */
  readonly missingFiles: number;
  readonly missingBytes: number;
}

/** The part of a pinned file that is counted. */
interface Counted {
  /** Bytes. */
  readonly size: number;
  /** The job that fetches it; null: all of it is here. */
  readonly job: { readonly bytes: number } | null;
}

/** The sum over many files that come, change and go. */
export class PinSum {
  #files = 0;
  #bytes = 0;
  #missingFiles = 0;
  #missingBytes = 0;

  add(file: Counted): void {
    this.#count(file, 1);
  }

  /** Takes the file as it was when it was added, apart from the bytes of `fetched`. */
  remove(file: Counted): void {
    this.#count(file, -1);
  }

  /** Call this when one of the files has so many more bytes here. */
  fetched(bytes: number): void {
    this.#missingBytes -= bytes;
  }

  #count({ size, job }: Counted, sign: 1 | -1): void {
    this.#files += sign;
    this.#bytes += sign * size;
    if (job === null) return;
    this.#missingFiles += sign;
    this.#missingBytes += sign * (size - job.bytes);
  }

  result(): PinCounts {
    return {
      files: this.#files,
      bytes: this.#bytes,
      missingFiles: this.#missingFiles,
      missingBytes: this.#missingBytes,
    };
  }
}
