/**
 * `npm run build`: one program in `dist/`. Code that a command loads only when it is called (`await import()`) is a file of its own:
 * `status` does not read the code of a mount, and only `sandbox` reads the code of the sandbox. The output is CommonJS, because the
 * loader of ES modules takes time at every start. It is minified, because parsing it then takes half as long. Packages are not minified:
 * they have no source maps, and their Node.js caches compiled code.
 */
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const program = { syncmount: 'src/cli/main.ts' };

/** Each worker runs in a thread of its own. It is one file, because src/threads/lazy-thread.ts reads it long before the thread starts. */
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
 * Replaces HTTP/2 for undici, which works without it if Node.js was built without it. We never use HTTP/2, and loading it takes a third
 * as long as starting Node.js.
 */
const withoutHttp2 = {
  name: 'without-http2',
  resolveId: (id, importer) => (id === 'node:http2' && importer?.includes('/undici/') ? 'without-http2' : null),
  load: (id) => (id === 'without-http2' ? "throw new Error('there is no HTTP/2')" : null),
};

/** Returns the paths of all source files of the bundle. `isPackage`: without the parts that only scripts and debuggers need. */
export async function bundle(dir, isPackage = false) {
  const common = {
    cwd: resolve(dirname(fileURLToPath(import.meta.url)), '..'),
    platform: 'node',
    // This package finds its compiled addon beside its own files.
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
      // A single character outside of Latin-1 makes V8 store the whole file with two bytes for each character.
      charset: 'ascii',
      sourcemap: !isPackage,
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name].cjs',
    },
  });
  const outputs = [output];
  for (const name of workers) {
    const input = { [name]: `src/threads/${name}.ts` };
    // A worker that is started from text is CommonJS (`eval` of node:worker_threads).
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
