import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from '../../cli/commands/index.ts';
import { parseAge, parseSize, parseTime } from '../../cli/numbers.ts';
import { type OptionSpec, parseOptions, UsageError } from '../../cli/options.ts';

test('sizes are read as lttng(1) reads them', () => {
  assert.deepEqual(['512', '4k', '4K', '2M', '1G', '0x10', '010'].map(parseSize), [512, 4096, 4096, 2 << 20, 1 << 30, 16, 8]);
  for (const wrong of ['', '-1', '1T', '1 M', '09', '99999999999999999999', '0x', 'M'])
    assert.equal(parseSize(wrong), null, wrong);
});

test('times are microseconds unless they say otherwise', () => {
  assert.deepEqual(['5', '5us', '5ms', '5s', '5m', '1h'].map(parseTime), [5, 5, 5000, 5_000_000, 300_000_000, 3_600_000_000]);
  for (const wrong of ['', '-1s', '5d', '0x5', '5 ms', '99999999999h']) assert.equal(parseTime(wrong), null, wrong);
});

test('an age has a unit, up to years', () => {
  assert.deepEqual(['30s', '5m', '12h', '7d', '1y'].map(parseAge), [30, 300, 43_200, 604_800, 31_536_000]);
  for (const wrong of ['', '30', '0d', '5us', '-1d', '1.5d']) assert.equal(parseAge(wrong), null, wrong);
});

const SPECS: readonly OptionSpec[] = [
  { long: 'flag', short: 'f', help: '' },
  { long: 'name', short: 'n', value: 'NAME', help: '' },
  { long: 'maybe', value: 'X', optional: true, help: '' },
  { long: 'later', short: 'l', value: 'X', help: '', unsupported: 'because' },
];
const parse = (...argv: string[]) => parseOptions(SPECS, argv).parsed;

test('options and words may be mixed; values come with = or as the next word, or stuck to the short form', () => {
  const parsed = parse('one', '-f', '--name=a', 'two', '-nb', '-n', 'c', '--', '--flag');
  assert.deepEqual(parsed.words, ['one', 'two', '--flag']);
  assert.deepEqual([parsed.has('flag'), parsed.get('name'), parsed.all('name')], [true, 'c', ['a', 'b', 'c']]);
  assert.equal(parse('--maybe').get('maybe'), '');
  assert.equal(parse('--maybe=3').get('maybe'), '3');
});

test('unknown, incomplete and superfluous options are refused by name, later ones with a sentence and status 5', () => {
  const refusal = (...argv: string[]): UsageError => {
    try {
      parse(...argv);
    } catch (error) {
      if (error instanceof UsageError) return error;
    }
    throw new Error(`${argv.join(' ')} was accepted`);
  };
  assert.match(refusal('--nope').message, /'--nope': unknown option/);
  assert.match(refusal('-x').message, /'-x': unknown option/);
  assert.match(refusal('--name').message, /missing argument/);
  assert.match(refusal('--flag=1').message, /no argument/);
  for (const word of ['--later', '--later=3', '-l']) {
    assert.match(refusal(word).message, /not supported by this version: because/);
    assert.equal(refusal(word).status, 5);
  }
});

test('general options end at the command', () => {
  const { parsed, rest } = parseOptions(SPECS, ['-f', 'create', '-n', 'x'], true);
  assert.deepEqual([parsed.has('flag'), rest], [true, ['create', '-n', 'x']]);
});

test('no command has two options of one name, and each has help', async () => {
  for (const [name, load] of Object.entries(COMMANDS)) {
    const command = await load();
    assert.equal(command.name, name);
    const shown = command.options.flatMap((spec) => [spec.long, ...(spec.short === undefined ? [] : [spec.short])]);
    assert.deepEqual(
      shown.filter((one, at) => shown.indexOf(one) !== at),
      [],
      name,
    );
    assert.ok(
      command.options.every((spec) => spec.help !== ''),
      name,
    );
  }
});
