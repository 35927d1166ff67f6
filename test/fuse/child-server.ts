/**
 * A mount with its server in another process: for tests that kill it, run it as another user, or watch its memory.
 * It first compiles the TypeScript to JavaScript in a temporary folder, because Node 20 runs only JavaScript.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const folders = ['src/base', 'src/filesystem', 'src/fuse', 'test/fuse'];

/** Returns the folder, for `removeServer`. A bare folder lacks the addon and the packages. */
export async function buildServer({ bare = false } = {}): Promise<string> {
  const target = await mkdtemp(join(tmpdir(), 'syncmount-server-'));
  await chmod(target, 0o755);
  await writeFile(join(target, 'package.json'), '{"type":"module"}');
  if (!bare) for (const name of ['native', 'node_modules']) await symlink(join(root, name), join(target, name));
  for (const folder of folders) {
    for (const file of await readdir(join(root, folder), { recursive: true })) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
      await mkdir(dirname(join(target, folder, file)), { recursive: true });
      const source = await readFile(join(root, folder, file), 'utf8');
      const compilerOptions = {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2022,
        verbatimModuleSyntax: true,
      };
      const { outputText } = ts.transpileModule(source, { compilerOptions });
      await writeFile(join(target, folder, file.replace(/\.ts$/, '.js')), outputText);
    }
  }
  return target;
}

export interface Server {
  readonly child: ChildProcess;
  /** Everything that it printed, on both streams. */
  readonly output: () => string;
  /** Resolves when the output contains `text`, rejects when it ends before. */
  says(text: string): Promise<void>;
  readonly exited: Promise<number | null>;
}

/** `as` runs it as another user: a user number. */
export function startServer(built: string, binding: string, mountpoint: string, as?: number): Server {
  const node = [process.execPath, '--expose-gc', join(built, 'test/fuse/server-main.js'), binding, mountpoint];
  const command = as === undefined ? node : ['setpriv', `--reuid=${as}`, `--regid=${as}`, '--clear-groups', ...node];
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const listeners = new Set<() => void>();
  const onData = (chunk: unknown): void => {
    output += String(chunk);
    for (const listener of listeners) listener();
  };
  child.stdout.on('data', onData);
  child.stderr.on('data', onData);
  const exited = new Promise<number | null>((done) => child.on('close', done));
  const says = (text: string): Promise<void> =>
    new Promise((done, reject) => {
      const look = (): void => {
        if (!output.includes(text)) return;
        listeners.delete(look);
        done();
      };
      listeners.add(look);
      look();
      exited.then(
        () => reject(new Error(`the server ended: ${output}`)),
        () => {},
      );
    });
  return { child, output: () => output, says, exited };
}

export const removeServer = (built: string): Promise<void> => rm(built, { recursive: true, force: true });
