/** Who made a request, and the way to interrupt it. One per request, so it stays small: the signal is made when asked for. */
import type { Caller } from '../../../filesystem/api.js';
import type { Request } from '../protocol/request.js';

export class RequestCaller implements Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  umask: number | undefined;
  readonly unique: number;
  /** The object the request is about, and the second one where there is one: notifications about them wait. */
  readonly nodeid: number;
  otherNodeid = 0;
  deadline: number | undefined;
  /** Goes on to its end when the mount goes. */
  finishes = false;
  /** Whether it was told to stop before or after somebody asked for the signal. */
  interrupted = false;
  #controller: AbortController | undefined;

  constructor(request: Request) {
    this.uid = request.uid;
    this.gid = request.gid;
    this.pid = request.pid;
    this.unique = request.unique;
    this.nodeid = request.nodeid;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.interrupted) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  interrupt(): void {
    this.interrupted = true;
    this.#controller?.abort();
  }
}
