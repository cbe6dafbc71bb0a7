/** Small files that must be whole or absent, whenever we die, and that others may or may not read. */
import { closeSync, constants, fchmodSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * `temporary`: where it is written first; where only one process writes at a time, one name for all of them lets the next one write
 * over what a dead one left. Mode is set before the first byte is there; the directory is synced, so that the name survives a power cut too.
 */
export const writeWhole = (path: string, content: string, mode: number, temporary = `${path}.${process.pid}.tmp`): void => {
  const fd = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, mode);
  try {
    fchmodSync(fd, mode);
    const bytes = Buffer.from(content);
    // A disk that is nearly full takes a part, and refuses the next one.
    for (let done = 0; done < bytes.length; ) {
      const wrote = writeSync(fd, bytes, done);
      if (wrote === 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      done += wrote;
    }
    fsyncSync(fd);
    renameSync(temporary, path);
  } catch (thrown) {
    unlinkSync(temporary);
    throw thrown;
  } finally {
    closeSync(fd);
  }
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  fsyncSync(directory);
  closeSync(directory);
};
