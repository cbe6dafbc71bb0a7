/** Contexts in the words of the XML format: a type in capitals, a counter by its numbers, or a value of the application. */
import {
  applicationContext,
  CONTEXT_SPELLINGS,
  type Counter,
  contextField,
  contextIdentity,
  counterOf,
  counterSpelling,
  isContextType,
  isFixedContext,
} from '../../machines/contexts.ts';
import type { ContextType } from '../../machines/document.ts';
import type { Element, Tree } from './element.ts';

export const writeContext = (context: ContextType): Tree => {
  const application = applicationContext(context);
  if (application !== null) {
    const colon = application.indexOf(':');
    const names: Tree[] = [
      ['provider_name', application.slice(0, colon)],
      ['ctx_name', application.slice(colon + 1)],
    ];
    return ['context', [['app', names]]];
  }
  const counter = counterOf(context);
  if (!counter) return ['context', [['type', context.toUpperCase()]]];
  const numbers: Tree[] = [
    ['type', counter.type],
    ['config', counter.config.toString()],
    ['name', contextField(context)],
  ];
  return ['context', [['perf', numbers]]];
};

/** The spelling that gives the field this name; a counter may have several, and raw ones have a name of the user's. */
const spelling = (counter: Counter, field: string): ContextType | null => {
  const known = CONTEXT_SPELLINGS.filter(isContextType);
  const raw = /^perf_(thread_)?raw_(r[0-9a-fA-F]+)_(\w+)$/.exec(field);
  const guess = raw ? `perf:${raw[1] ? 'thread:' : ''}raw:${raw[2]}:${raw[3]}` : '';
  const identity = `perf ${counter.type} ${counter.config}`;
  const found = [...known, guess].find(
    (one) => contextField(one as ContextType) === field && isContextType(one) && contextIdentity(one) === identity,
  );
  return (found as ContextType | undefined) ?? counterSpelling(counter);
};

const readCounter = (perf: Element): ContextType => {
  const fields = perf.fields('type', 'config', 'name');
  const type = perf.need(fields, 'type').integer(0, 0xffff_ffff);
  const config = perf.need(fields, 'config');
  const word = config.word();
  if (!/^\d{1,20}$/.test(word)) throw config.fault(`\`${word}\` is no number`);
  const found = spelling({ type, config: BigInt(word) }, perf.need(fields, 'name').word());
  if (found === null) throw perf.unsupported(`counter type ${type}, config ${word} has no counterpart in user space`);
  return found;
};

const readApplication = (app: Element): ContextType => {
  const fields = app.fields('provider_name', 'ctx_name');
  const [provider, name] = ['provider_name', 'ctx_name'].map((one) => app.need(fields, one).string());
  const context = `$app.${provider}:${name}`;
  if (!isContextType(context)) throw app.fault(`\`${context}\` cannot name a context`);
  return context;
};

export const readContext = (context: Element): ContextType => {
  const choice = context.choice('type', 'perf', 'app');
  if (choice.name === 'perf') return readCounter(choice);
  if (choice.name === 'app') return readApplication(choice);
  const type = choice.word().toLowerCase();
  if (!isFixedContext(type)) throw choice.unsupported(`context \`${choice.word()}\` is not one of the user-space domain`);
  return type;
};
