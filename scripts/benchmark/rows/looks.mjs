// Programs that look into files, each at a file of which nothing is cached: the bytes that come over the link. The disk's column has the
// bytes that the program itself reads, as strace counts them.
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** `program`: the first of these that is installed is used. `file`: made by sample-files.py. */
const looks = [
  { name: 'file', what: 'file of a film', program: ['file'], file: 'film.mkv' },
  { name: 'ffprobe-mp4', what: 'ffprobe of an MP4, its index at the end', program: ['ffprobe'], file: 'film.mp4' },
  { name: 'ffprobe-mkv', what: 'ffprobe of a Matroska film', program: ['ffprobe'], file: 'film.mkv' },
  { name: 'exiftool', what: 'exiftool of a photo of 2 MB', program: ['exiftool'], file: 'photo.jpg' },
  {
    name: 'thumbnail',
    what: 'thumbnail of a photo of 2 MB',
    program: ['gdk-pixbuf-thumbnailer', 'vipsthumbnail', 'convert'],
    file: 'photo.jpg',
  },
  { name: 'unzip', what: 'unzip -l of a large zip', program: ['unzip'], file: 'archive.zip' },
  { name: 'pdfinfo', what: 'pdfinfo of a PDF of 20 MB', program: ['pdfinfo'], file: 'document.pdf' },
];

const commands = {
  file: (path) => `file ${path}`,
  ffprobe: (path) => `ffprobe -v error -show_format -show_streams ${path}`,
  exiftool: (path) => `exiftool ${path}`,
  'gdk-pixbuf-thumbnailer': (path) => `gdk-pixbuf-thumbnailer -s 256 ${path} "$TOP/thumbnail.png"`,
  vipsthumbnail: (path) => `vipsthumbnail -s 256 ${path} -o "$TOP/thumbnail.png"`,
  convert: (path) => `convert ${path} -thumbnail 256x256 "$TOP/thumbnail.png"`,
  unzip: (path) => `unzip -l ${path}`,
  pdfinfo: (path) => `pdfinfo ${path}`,
};

export function lookRows(sizes, { top, sh, until, dropCaches }) {
  const samples = join(top, 'samples');
  const has = async (program) => (await sh(`command -v ${program} || true`)).out !== '';

  return looks.map(({ name, what, program, file }) => ({
    name: `look-${name}`,
    title: `${what}: MB over the link`,
    unit: 'MB',
    async measure(c) {
      let chosen;
      for (const one of program) if (chosen === undefined && (await has(one))) chosen = one;
      if (chosen === undefined) return `${program.join(' or ')} is not installed`;
      if (!existsSync(samples))
        await sh(`python3 ${resolve('scripts/benchmark/sample-files.py')} "$TOP/samples" ${sizes.film}`);
      const sample = join(samples, file);
      if (!existsSync(sample)) return `nothing is installed that makes ${file}`;
      await prepare(c);
      const command = commands[chosen](`"$MNT/looks/${file}"`);
      if (c.name === 'disk') return (await has('strace')) ? await readByProgram(c, command, file) : null;
      const [requests, bytes] = [await c.requests(), await c.bytesSent()];
      await sh(`${command} > "$TOP/said"`, c.mnt);
      await settled(c);
      const came = (await c.bytesSent()) - bytes;
      return { figure: came / 1e6, requests: (await c.requests()) - requests, bytes: came };
    },
  }));

  /** Afterwards the account is mounted and the folder listed, and nothing of the files is cached. */
  async function prepare(c) {
    await c.umount();
    if (!c.hasLooks) {
      for (const file of new Set(looks.map((look) => look.file))) {
        if (existsSync(join(samples, file))) await c.put(join(samples, file), `/looks/${file}`);
      }
      c.forget();
      c.hasLooks = true;
    }
    c.forgetBlocks();
    await c.mount();
    await dropCaches();
    await sh('ls -l "$MNT/looks" > /dev/null', c.mnt);
    await settled(c);
  }

  /** Waits until no more bytes come: read-ahead may still be in flight. */
  async function settled(c) {
    let before = -1;
    await until('the end of the transfers', async () => {
      const now = await c.bytesSent();
      const isSame = now === before;
      before = now;
      if (!isSame) await new Promise((later) => setTimeout(later, 300));
      return isSame;
    });
  }

  async function readByProgram(c, command, file) {
    const calls = 'read,pread64,readv,preadv';
    await sh(`strace -f -y -qq -e trace=${calls} -o "$TOP/trace" ${command} > "$TOP/said"`, c.mnt);
    const lines = readFileSync(join(top, 'trace'), 'utf8').split('\n');
    const read = lines
      .filter((line) => line.includes(`/${file}>`))
      .map((line) => Number(line.split(' = ').at(-1)) || 0);
    return read.reduce((sum, bytes) => sum + Math.max(0, bytes), 0) / 1e6;
  }
}
