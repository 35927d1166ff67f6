/** Ports of this machine at which nobody is heard: a connection is asked for, and no packet comes back. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

/** Its queue is full, and it takes nothing from it: the kernel drops whatever else asks for a connection. */
const listener = `import socket, sys
kept = []
for port in sys.argv[1:]:
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('127.0.0.1', int(port))); s.listen(0); kept.append(s)
    for _ in range(3):
        c = socket.socket(); c.setblocking(False); c.connect_ex(s.getsockname()); kept.append(c)
print(*(s.getsockname()[1] for s in kept if s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)), flush=True)
sys.stdin.read()
`;

/** Takes `ports` (0: any), which must be free, until the test has finished. Resolves with them. */
export async function swallowingPorts(...ports: readonly number[]): Promise<number[]> {
  const child = spawn('python3', ['-c', listener, ...ports.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return line.split(' ').map(Number);
}
