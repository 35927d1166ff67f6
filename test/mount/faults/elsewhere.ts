/** A foreign host to which redirects lead. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Another host, such as a captive portal redirects to: it answers everything with a page. */
export class Elsewhere {
  readonly #server: Server;
  readonly origin: string;
  /** Requests that carried an Authorization header. */
  credentialsSeen = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => {
      if (request.headers.authorization !== undefined) this.credentialsSeen += 1;
      response.setHeader('content-type', 'text/html').end('<html>Somewhere else.</html>');
    });
  }

  static async open(): Promise<Elsewhere> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return new Elsewhere(server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
    if (this.credentialsSeen > 0) throw new Error(`credentials reached another host ${this.credentialsSeen} times`);
  }
}
