/**
 * `npm run build`: one program in `dist/`. What a command loads only when it is called (`await import()`) is a file of its own:
 * `status` does not read the code of a mount, and no command but `sandbox` reads that of the sandbox. All of it is CommonJS, for the
 * loader of ES modules takes time at every start, and minified: half as much to parse. Packages have no source maps, and the Node.js
 * that they run on keeps compiled code: they stay readable.
 */
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const program = { syncmount: 'src/cli/main.ts' };

/** Each runs in a thread of its own and is one file, which src/threads/lazy-thread.ts reads long before the thread starts. */
const workers = ['hash-worker', 'exchange-worker'];

const forScripts = {
  // For scripts/options-doc.mjs.
  options: 'src/config/options.ts',
  // For scripts/man-pages.mjs.
  manual: 'src/cli/manual/manual.ts',
  program: 'src/cli/program.ts',
  // For scripts/packaging/debian-package.mjs.
  'service-unit': 'src/cli/commands/service-unit.ts',
  // For test/mount.
  'mount-host': 'test/mount/host-process.ts',
};

/**
 * HTTP/2 for undici, which goes without where Node.js was built without it: we never ask for it, and to load it takes as long as a
 * third of the start of Node.js.
 */
const withoutHttp2 = {
  name: 'without-http2',
  resolveId: (id, importer) => (id === 'node:http2' && importer?.includes('/undici/') ? 'without-http2' : null),
  load: (id) => (id === 'without-http2' ? "throw new Error('there is no HTTP/2')" : null),
};

/** Answers the paths of all files that went into it. `isPackage`: without what only scripts and debuggers need. */
export async function bundle(dir, isPackage = false) {
  const common = {
    cwd: resolve(dirname(fileURLToPath(import.meta.url)), '..'),
    platform: 'node',
    // It finds its compiled addon beside its own files.
    external: ['better-sqlite3'],
    plugins: [withoutHttp2],
  };
  const { output } = await build({
    ...common,
    input: isPackage ? program : { ...program, ...forScripts },
    output: {
      dir,
      cleanDir: true,
      format: 'cjs',
      minify: !isPackage,
      // One character of another alphabet makes V8 keep a file in two bytes a character.
      charset: 'ascii',
      sourcemap: !isPackage,
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name].cjs',
    },
  });
  const outputs = [output];
  for (const name of workers) {
    const input = { [name]: `src/threads/${name}.ts` };
    // A program that is given as text is CommonJS (`eval` of node:worker_threads).
    const made = await build({
      ...common,
      input,
      output: { dir, format: 'cjs', minify: !isPackage, charset: 'ascii', entryFileNames: '[name].cjs' },
    });
    if (made.output.length > 1) throw new Error(`${name} must be one file`);
    outputs.push(made.output);
  }
  return outputs.flat().flatMap(({ moduleIds = [] }) => moduleIds.filter((id) => id !== withoutHttp2.name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle('dist');
