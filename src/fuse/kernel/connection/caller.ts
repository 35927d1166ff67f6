/** The caller of a request, and the means to interrupt it. One per request, so it is small: the signal is made on demand. */
import type { Caller } from '../../../filesystem/api.js';
import type { Request } from '../protocol/request.js';

export class RequestCaller implements Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  umask: number | undefined;
  readonly unique: number;
  /** The objects of the request. Invalidations of them wait until it is answered. */
  readonly nodeid: number;
  otherNodeid = 0;
  deadline: number | undefined;
  /** The request runs to its end when the mount ends. */
  finishes = false;
  /** Was the request interrupted? Set even if nobody has asked for `signal` yet. */
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
