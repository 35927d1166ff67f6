"""Makes real files for programs that look into files: films, a photo, a zip and a PDF.

    sample-files.py DIRECTORY BYTES

The films and the zip have about BYTES each, the photo 2 MB, the PDF 20 MB. What cannot be made without a program that is not installed
is not made: film.mp4 needs ffmpeg, photo.jpg ImageMagick or ffmpeg. film.mkv is then a valid container without a film.
"""
import os, shutil, struct, subprocess, sys, zipfile

MIB = 1024 * 1024
MEMBER = 64 * 1024
PAGES, IMAGE_SIDE = 200, 320


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def films(size):
    """A short film, then the same one again and again until the size is reached: copying takes no CPU to speak of."""
    if shutil.which('ffmpeg') is None:
        return empty_matroska(size)
    quiet = ('ffmpeg', '-v', 'error', '-y')
    picture = 'testsrc2=size=1280x720:rate=25:duration=6,noise=alls=40:allf=t'
    # The indexes of both containers come last: film.mp4 is not made for streaming.
    run(*quiet, '-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', 'sine=duration=6',
        '-c:v', 'mpeg4', '-q:v', '3', '-c:a', 'aac', 'short.mkv')
    again = str(max(0, size // os.path.getsize('short.mkv') - 1))
    for film in ('film.mkv', 'film.mp4'):
        run(*quiet, '-stream_loop', again, '-i', 'short.mkv', '-c', 'copy', film)
    os.remove('short.mkv')


def element(identity, data):
    """An element of EBML (RFC 8794): its id, its length in eight bytes, its data."""
    return bytes.fromhex(identity) + struct.pack('>Q', len(data) | 1 << 56) + data


def empty_matroska(size):
    header = element('1a45dfa3', element('4282', b'matroska') + element('4287', b'\4') + element('4285', b'\2'))
    info = element('1549a966', element('2ad7b1', struct.pack('>I', 1_000_000)) + element('4d80', b'made') + element('5741', b'made'))
    void = size // MIB
    with open('film.mkv', 'wb') as film:
        film.write(header + bytes.fromhex('18538067') + struct.pack('>Q', len(info) + void * (MIB + 9) | 1 << 56) + info)
        for _ in range(void):
            film.write(element('ec', os.urandom(MIB)))


def photo():
    width, height = 2592, 1944
    if shutil.which('convert') is not None:
        run('convert', '-seed', '7', '-size', f'{width}x{height}', 'plasma:fractal', '-attenuate', '0.2', '+noise', 'Gaussian',
            '-quality', '90', 'plain.jpg')
    elif shutil.which('ffmpeg') is not None:
        picture = f'testsrc2=size={width}x{height}:rate=1:duration=1,noise=alls=30'
        run('ffmpeg', '-v', 'error', '-y', '-f', 'lavfi', '-i', picture, '-frames:v', '1', '-q:v', '5', 'plain.jpg')
    else:
        return
    with open('plain.jpg', 'rb') as plain, open('photo.jpg', 'wb') as made:
        made.write(plain.read(2) + exif({0x010F: b'Maker\0', 0x0110: b'Camera 1\0', 0x0132: b'2024:01:01 12:00:00\0'}))
        shutil.copyfileobj(plain, made)
    os.remove('plain.jpg')


def exif(texts):
    """A segment APP1 with these ASCII tags of TIFF, which take more than four bytes each."""
    entries, data, at = b'', b'', 8 + 2 + 12 * len(texts) + 4
    for tag, text in sorted(texts.items()):
        entries += struct.pack('>HHII', tag, 2, len(text), at + len(data))
        data += text
    tiff = b'MM\0*' + struct.pack('>IH', 8, len(texts)) + entries + bytes(4) + data
    return b'\xff\xe1' + struct.pack('>H', 2 + 6 + len(tiff)) + b'Exif\0\0' + tiff


def archive(size):
    with zipfile.ZipFile('archive.zip', 'w', zipfile.ZIP_STORED) as made:
        for n in range(size // MEMBER):
            made.writestr(f'folder-{n // 100:03}/member-{n:06}.bin', os.urandom(MEMBER))


def document():
    """Each page is an image; the table of objects comes last."""
    places = []
    with open('document.pdf', 'wb') as made:
        def put(number, text, stream=None):
            places.append((number, made.tell()))
            body = b'' if stream is None else b'stream\n' + stream + b'\nendstream\n'
            made.write(b'%d 0 obj\n%s\n%sendobj\n' % (number, text.encode(), body))

        made.write(b'%PDF-1.4\n')
        pages = [3 + 3 * n for n in range(PAGES)]
        put(1, '<< /Type /Catalog /Pages 2 0 R >>')
        put(2, f'<< /Type /Pages /Count {PAGES} /Kids [{" ".join(f"{page} 0 R" for page in pages)}] >>')
        for page in pages:
            drawing = b'q 400 0 0 400 100 200 cm /I Do Q'
            put(page, f'<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {page + 1} 0 R '
                      f'/Resources << /XObject << /I {page + 2} 0 R >> >> >>')
            put(page + 1, f'<< /Length {len(drawing)} >>', drawing)
            put(page + 2, f'<< /Type /XObject /Subtype /Image /Width {IMAGE_SIDE} /Height {IMAGE_SIDE} /ColorSpace /DeviceGray '
                          f'/BitsPerComponent 8 /Length {IMAGE_SIDE ** 2} >>', os.urandom(IMAGE_SIDE ** 2))
        table = made.tell()
        made.write(b'xref\n0 %d\n0000000000 65535 f \n' % (len(places) + 1))
        for _, place in sorted(places):
            made.write(b'%010d 00000 n \n' % place)
        made.write(b'trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n' % (len(places) + 1, table))


def main():
    size = int(sys.argv[2])
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    films(size)
    photo()
    archive(size)
    document()


main()
