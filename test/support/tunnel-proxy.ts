/** An HTTP proxy that makes tunnels (CONNECT), as companies have them. It accepts hosts that no name service knows. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export class TunnelProxy {
  /** The requested hosts, in order, such as `storage.test:443`. */
  readonly asked: string[] = [];
  /** The header that a request must have; null: none is needed. */
  authorization: string | null = null;
  /** The status that every request gets; null: it gets its tunnel. */
  refusal: number | null = null;
  /** Requests get no answer. */
  isSilent = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((_, answer) => answer.writeHead(405).end());
    this.#server.on('connect', ({ url = '', headers }, socket: Socket) => {
      this.asked.push(url);
      this.#keep(socket);
      if (this.isSilent) return;
      const status = this.authorization === (headers['proxy-authorization'] ?? null) ? this.refusal : 407;
      if (status !== null) {
        socket.end(`HTTP/1.1 ${status} no\r\ncontent-length: 0\r\n\r\n`);
        return;
      }
      // Every host is this machine.
      const server = connect(Number(url.split(':').at(-1)), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(server).pipe(socket);
      });
      this.#keep(server);
    });
  }

  static async start(): Promise<TunnelProxy> {
    const proxy = new TunnelProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
