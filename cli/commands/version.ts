import { readFileSync } from 'node:fs';
import type { Command } from '../command.ts';
import { HELP, noMoreWords } from './shared.ts';

export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string }
).version;

export const DESCRIPTION =
  'Weft is a distributed tracing fabric: it records what programs do, at nanosecond cost, on one host or on a fleet.';

export const version: Command = {
  name: 'version',
  summary: 'Show the version',
  usage: 'version',
  options: [...HELP],
  async run(environment) {
    noMoreWords(environment, 0);
    const lines = [`weft version ${VERSION}`, '', DESCRIPTION, '', 'License: MIT'];
    return {
      lines,
      json: { version: VERSION, node: process.version, description: DESCRIPTION, license: 'MIT' },
      mi: async () => (await import('../mi/version.ts')).versionElement(VERSION, DESCRIPTION, 'MIT'),
    };
  },
};
