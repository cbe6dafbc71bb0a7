/** Files of saved sessions, found, read and written. */
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { makeDirectories } from '../../actors/make-directories.ts';
import { FaultError, failure } from '../../transport/errors.ts';
import { FileFault, LIMITS, type ReadFile } from './model.ts';
import { readXml } from './xml.ts';
import { readYaml } from './yaml.ts';

export type Format = 'xml' | 'yaml';
const EXTENSIONS: Readonly<Record<string, Format>> = { '.lttng': 'xml', '.xml': 'xml', '.yaml': 'yaml', '.yml': 'yaml' };

const causeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

const textOf = (file: string): string => {
  let bytes: Buffer;
  try {
    const status = statSync(file);
    if (!status.isFile()) throw failure('file-unreadable', { file, cause: 'it is no regular file' });
    if (status.size > LIMITS.bytes)
      throw failure('file-unreadable', { file, cause: `it is larger than ${LIMITS.bytes} bytes` });
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof FaultError) throw error;
    throw failure('file-unreadable', { file, cause: causeOf(error) });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw failure('file-unreadable', { file, cause: 'it is not UTF-8' });
  }
};

/** A fault of a file, with its place as text. */
export const faultIn = (file: string, fault: FileFault): FaultError => {
  const params = { file, ...fault.place, cause: fault.message };
  return fault.unsupported ? failure('file-unsupported', params) : failure('file-invalid', params);
};

export const readSaved = (file: string): ReadFile => {
  const text = textOf(file);
  const format = EXTENSIONS[extname(file)] ?? (text.trimStart().startsWith('<') ? 'xml' : 'yaml');
  try {
    return format === 'xml' ? readXml(text) : readYaml(text);
  } catch (error) {
    if (error instanceof FileFault) throw faultIn(file, error);
    throw error;
  }
};

export const isDirectory = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

/** Files of saved sessions directly in a directory; one that is not there holds none. */
export const savedFiles = (directory: string): string[] => {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (causeOf(error) === 'ENOENT') return [];
    throw failure('file-unreadable', { file: directory, cause: causeOf(error) });
  }
  return names
    .filter((name) => !name.startsWith('.') && Object.hasOwn(EXTENSIONS, extname(name)))
    .sort()
    .map((name) => join(directory, name));
};

/** Those that are called after the session. */
export const filesNamed = (directory: string, session: string): string[] =>
  savedFiles(directory).filter((file) => file === join(directory, `${session}${extname(file)}`));

/** Whole or not at all; what is there is only replaced by `force`. */
export const writeSaved = (file: string, text: string, force: boolean): void => {
  const beside = join(resolve(file, '..'), `.weft-${process.pid}.new`);
  try {
    makeDirectories(resolve(file, '..'), 0o700);
    writeFileSync(beside, text, { mode: 0o640 });
    if (force) renameSync(beside, file);
    else linkSync(beside, file);
  } catch (error) {
    if (causeOf(error) === 'EEXIST') throw failure('file-exists', { file });
    throw failure('file-unwritable', { file, cause: causeOf(error) });
  } finally {
    rmSync(beside, { force: true });
  }
};
