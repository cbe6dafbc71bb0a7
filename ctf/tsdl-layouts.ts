/** Layouts in TSDL: what stands before a name. Types that have names are known where they are declared, and within. */
import type { Lexer } from './tsdl-lexer.ts';
import type { IntegerLayout, Layout, Mapping, Member, StructLayout } from './tsdl-types.ts';

/** Structures, variants and rows within each other. */
export const DEPTH_MAX = 32;
const ALIGN_MAX = 4096;
const ROW_MAX = 2 ** 32 - 1;

type Value = bigint | string;
/** A variant that has no tag yet gets it where it is used. */
type Named = Layout | { readonly kind: 'untagged'; readonly options: readonly Member[] };

export class Scope {
  readonly #parent: Scope | null;
  readonly #named = new Map<string, Named>();
  readonly depth: number;

  constructor(parent: Scope | null) {
    this.#parent = parent;
    this.depth = parent === null ? 0 : parent.depth + 1;
  }

  find(name: string): Named | undefined {
    return this.#named.get(name) ?? this.#parent?.find(name);
  }

  add(name: string, layout: Named): void {
    this.#named.set(name, layout);
  }
}

export const alignmentOf = (layout: Layout): number => {
  switch (layout.kind) {
    case 'integer':
    case 'float':
    case 'struct':
      return layout.align;
    case 'enum':
      return layout.container.align;
    case 'array':
    case 'sequence':
      return alignmentOf(layout.element);
    case 'string':
      return 8;
    case 'variant':
      return 1;
  }
};

/** Reads layouts; integers that name no byte order have the trace's, which must be known by then. */
export class LayoutReader {
  readonly #words: Lexer;
  big = false;

  constructor(words: Lexer) {
    this.#words = words;
  }

  /** `{ size = 8; align = 8; ... }` */
  #attributes(): Map<string, Value> {
    const values = new Map<string, Value>();
    this.#words.expect('{');
    while (!this.#words.accept('}')) {
      const name = this.#words.path().join('.');
      this.#words.expect('=');
      values.set(name, this.value());
      this.#words.expect(';');
    }
    return values;
  }

  value(): Value {
    const { next } = this.#words;
    if (next.kind === 'text') return this.#words.take().text;
    return next.kind === 'name' ? this.#words.path().join('.') : this.#words.integer();
  }

  #whole(values: ReadonlyMap<string, Value>, name: string, otherwise: number | null, most: number): number {
    const value = values.get(name);
    if (value === undefined && otherwise !== null) return otherwise;
    if (typeof value !== 'bigint' || value < 1n || value > BigInt(most))
      throw this.#words.fault(`\`${name}\` must be a number from 1 to ${most}`);
    return Number(value);
  }

  #alignment(values: ReadonlyMap<string, Value>, otherwise: number): number {
    const align = this.#whole(values, 'align', otherwise, ALIGN_MAX);
    if ((align & (align - 1)) !== 0) throw this.#words.fault(`${align} is no alignment`);
    return align;
  }

  #order(values: ReadonlyMap<string, Value>): boolean {
    const order = values.get('byte_order') ?? 'native';
    if (order === 'native') return this.big;
    if (order === 'le') return false;
    if (order === 'be' || order === 'network') return true;
    throw this.#words.fault(`${order} is no byte order`);
  }

  #base(values: ReadonlyMap<string, Value>): 2 | 8 | 10 | 16 {
    const base = values.get('base') ?? 10n;
    const names: Readonly<Record<string, 2 | 8 | 10 | 16>> = {
      ...{ 2: 2, b: 2, binary: 2, 8: 8, o: 8, oct: 8, octal: 8, 10: 10, d: 10, i: 10, u: 10, dec: 10, decimal: 10 },
      ...{ 16: 16, x: 16, X: 16, p: 16, hex: 16, hexadecimal: 16 },
    };
    const found = Object.hasOwn(names, String(base)) ? names[String(base)] : undefined;
    if (found === undefined) throw this.#words.fault(`${base} is no base`);
    return found;
  }

  #integer(): IntegerLayout {
    const values = this.#attributes();
    const bits = this.#whole(values, 'size', null, 64);
    const map = /^clock\.(\w+)\.value$/.exec(String(values.get('map') ?? ''));
    return {
      kind: 'integer',
      bits,
      align: this.#alignment(values, bits % 8 === 0 ? 8 : 1),
      signed: ['1', 'true', 'TRUE'].includes(String(values.get('signed') ?? 0)),
      big: this.#order(values),
      base: this.#base(values),
      text: !['none', 'NONE'].includes(String(values.get('encoding') ?? 'none')),
      clock: map?.[1] ?? null,
    };
  }

  #float(): Layout {
    const values = this.#attributes();
    const [exponent, mantissa] = [values.get('exp_dig'), values.get('mant_dig')];
    const bits = exponent === 8n && mantissa === 24n ? 32 : exponent === 11n && mantissa === 53n ? 64 : null;
    if (bits === null) throw this.#words.fault(`a floating-point number of ${exponent} and ${mantissa} digits cannot be read`);
    return { kind: 'float', bits, align: this.#alignment(values, 8), big: this.#order(values) };
  }

  /** The names of a type of several words, until something else follows; in a declaration the last word is the declared name. */
  #alias(scope: Scope, declares: boolean): Named {
    const names = [this.#words.name()];
    let found: Named | undefined = scope.find(names[0]!);
    while (this.#words.next.kind === 'name' && !(declares && found !== undefined)) {
      names.push(this.#words.name());
      found = scope.find(names.join(' '));
    }
    if (found === undefined) throw this.#words.fault(`there is no type \`${names.join(' ')}\``);
    return found;
  }

  #container(scope: Scope): IntegerLayout {
    if (!this.#words.accept(':')) {
      const int = scope.find('int');
      if (int?.kind !== 'integer') throw this.#words.fault('an enumeration without its integer type');
      return int;
    }
    const layout = this.layout(scope, false);
    if (layout.kind !== 'integer') throw this.#words.fault('an enumeration is made of an integer');
    return layout;
  }

  #mappings(): Mapping[] {
    const mappings: Mapping[] = [];
    let next = 0n;
    this.#words.expect('{');
    while (!this.#words.accept('}')) {
      const word = this.#words.take();
      if (word.kind !== 'name' && word.kind !== 'text') throw this.#words.fault('a label is missing', word);
      const first = this.#words.accept('=') ? this.#words.integer() : next;
      const last = this.#words.accept('...') ? this.#words.integer() : first;
      if (first > last) throw this.#words.fault(`\`${word.text}\` goes backward`, word);
      mappings.push({ label: word.text, first, last });
      next = last + 1n;
      if (!this.#words.is('}')) this.#words.expect(',');
    }
    return mappings;
  }

  #enumeration(scope: Scope): Layout {
    const name = this.#words.next.kind === 'name' ? this.#words.name() : null;
    if (name !== null && !this.#words.is(':') && !this.#words.is('{')) {
      const found = scope.find(`enum ${name}`);
      if (found?.kind !== 'enum') throw this.#words.fault(`there is no enumeration \`${name}\``);
      return found;
    }
    const container = this.#container(scope);
    const layout: Layout = { kind: 'enum', container, mappings: this.#mappings() };
    if (name !== null) scope.add(`enum ${name}`, layout);
    return layout;
  }

  #members(outer: Scope): Member[] {
    const scope = new Scope(outer);
    if (scope.depth > DEPTH_MAX) throw this.#words.fault(`more than ${DEPTH_MAX} layouts within each other`);
    const members: Member[] = [];
    const names = new Set<string>();
    this.#words.expect('{');
    while (!this.#words.accept('}')) {
      if (this.declaration(scope)) continue;
      const layout = this.layout(scope, true);
      do {
        const name = this.#words.name();
        if (names.has(name)) throw this.#words.fault(`\`${name}\` is there twice`);
        names.add(name);
        members.push({ name, layout: this.#rows(layout, scope) });
      } while (this.#words.accept(','));
      this.#words.expect(';');
    }
    return members;
  }

  /** `[3]`, `[ length ]` behind a name: the first is the outermost. */
  #rows(element: Layout, scope: Scope): Layout {
    const lengths: (number | readonly string[])[] = [];
    while (this.#words.accept('[')) {
      if (lengths.length + scope.depth > DEPTH_MAX) throw this.#words.fault(`more than ${DEPTH_MAX} layouts within each other`);
      const length = this.#words.next.kind === 'name' ? this.#words.path() : this.#words.integer();
      if (typeof length === 'bigint' && (length < 0n || length > BigInt(ROW_MAX)))
        throw this.#words.fault(`${length} is no length of a row`);
      lengths.push(typeof length === 'bigint' ? Number(length) : length);
      this.#words.expect(']');
    }
    return lengths.reduceRight<Layout>(
      (of, length) =>
        typeof length === 'number' ? { kind: 'array', element: of, length } : { kind: 'sequence', element: of, length },
      element,
    );
  }

  #structure(scope: Scope): StructLayout {
    const name = this.#words.next.kind === 'name' && !this.#words.isName('align') ? this.#words.name() : null;
    if (!this.#words.is('{')) {
      const found = scope.find(`struct ${name}`);
      if (found?.kind !== 'struct') throw this.#words.fault(`there is no structure \`${name}\``);
      return found;
    }
    const members = this.#members(scope);
    let align = members.reduce((most, { layout }) => Math.max(most, alignmentOf(layout)), 1);
    if (this.#words.isName('align')) {
      this.#words.take();
      this.#words.expect('(');
      align = Math.max(align, this.#alignment(new Map([['align', this.#words.integer()]]), 1));
      this.#words.expect(')');
    }
    const layout: StructLayout = { kind: 'struct', align, members };
    if (name !== null) scope.add(`struct ${name}`, layout);
    return layout;
  }

  #variant(scope: Scope): Named {
    const name = this.#words.next.kind === 'name' ? this.#words.name() : null;
    const tag = this.#words.accept('<') ? this.#words.path() : null;
    if (tag !== null) this.#words.expect('>');
    let options: readonly Member[];
    if (this.#words.is('{')) options = this.#members(scope);
    else {
      const found = scope.find(`variant ${name}`);
      if (found?.kind !== 'untagged') throw this.#words.fault(`there is no variant \`${name}\``);
      options = found.options;
    }
    if (name !== null) scope.add(`variant ${name}`, { kind: 'untagged', options });
    return tag === null ? { kind: 'untagged', options } : { kind: 'variant', tag, options };
  }

  #any(scope: Scope, declares: boolean): Named {
    const { text } = this.#words.next;
    if (!['integer', 'floating_point', 'string', 'struct', 'enum', 'variant'].includes(text))
      return this.#alias(scope, declares);
    this.#words.take();
    switch (text) {
      case 'integer':
        return this.#integer();
      case 'floating_point':
        return this.#float();
      case 'string':
        if (this.#words.is('{')) this.#attributes();
        return { kind: 'string' };
      case 'struct':
        return this.#structure(scope);
      case 'enum':
        return this.#enumeration(scope);
      default:
        return this.#variant(scope);
    }
  }

  layout(scope: Scope, declares: boolean): Layout {
    const found = this.#any(scope, declares);
    if (found.kind === 'untagged') throw this.#words.fault('a variant without its tag');
    return found;
  }

  /** `typealias ... := NAME;`, `typedef ... NAME;`, or a type with a name of its own. False: something else begins here. */
  declaration(scope: Scope): boolean {
    const { next } = this.#words;
    if (this.#words.isName('typealias')) {
      this.#words.take();
      const layout = this.#any(scope, false);
      this.#words.expect(':=');
      scope.add(this.#names(), layout);
    } else if (this.#words.isName('typedef')) {
      this.#words.take();
      const layout = this.#any(scope, true);
      scope.add(this.#names(), layout);
    } else if (scope.depth === 0 && ['struct', 'enum', 'variant'].includes(next.text)) this.#any(scope, false);
    else return false;
    this.#words.expect(';');
    return true;
  }

  #names(): string {
    const names = [this.#words.name()];
    while (this.#words.next.kind === 'name') names.push(this.#words.name());
    return names.join(' ');
  }
}
