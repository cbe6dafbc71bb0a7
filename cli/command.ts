/** What a sub-command is, and what it is given. */

import type { Body, Fault } from '../transport/bus.ts';
import type { CommandAnswer, CommandFields, CommandName } from '../transport/messages.ts';
import type { EventAddress } from '../transport/subjects.ts';
import type { Element } from './mi/xml.ts';
import type { OptionSpec, Parsed } from './options.ts';

/** What a command has to say: data for stdout (text and JSON are two forms of the same), notes for stderr, the exit status. */
export interface Outcome {
  readonly lines: readonly string[];
  readonly json: unknown;
  /** What stands in `<output>` of the machine interface; null: it stays text there too; absent: nothing. */
  readonly mi?: (() => Promise<readonly Element[]>) | null;
  readonly notes?: readonly string[];
  readonly status?: number;
}

export interface Environment {
  readonly options: Parsed;
  /** All words behind the command's name. */
  readonly words: readonly string[];
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly noSessiond: boolean;
  readonly verbose: boolean;
  readonly colour: boolean;
  readonly group: string;
  /** Hosts of the fleet are meant, not this one. */
  readonly inFleet: boolean;
  /** Sends a command to the session daemon (started if need be); throws FaultError. */
  request<C extends CommandName>(name: C, fields: CommandFields<C>): Promise<CommandAnswer<C>>;
  /** Of hosts of the fleet, in the last request. */
  failures(): readonly { readonly host: string; readonly error: Fault }[];
  /** The session that commands without a name mean; throws UsageError when there is none. */
  currentSession(): string;
  /** What happens, until the returned function is called; `noun`: of sessions, triggers, ...; null: of all. */
  listen(noun: string | null, heard: (subject: EventAddress, body: Body) => void): Promise<() => void>;
  /** Decoded events of a session, while a lease runs (session.watch), until the returned function is called. */
  live(owner: string, session: string, heard: (body: Body, host: string) => void): Promise<() => void>;
  /** Null, or a sentence that says why it could not be stored. */
  setCurrentSession(name: string | null): string | null;
  knownCurrentSession(): string | null;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  readonly options: readonly OptionSpec[];
  /** It reads its words itself (`environment.words`); the options are for the help. */
  readonly raw?: boolean;
  /** The machine interface has no document for it. */
  readonly textOnly?: boolean;
  /** Not in the list of commands. */
  readonly hidden?: boolean;
  run(environment: Environment): Promise<Outcome>;
}

/** Some parts of a request went wrong: what was done and each failure. */
export const partial = (lines: readonly string[], json: object, faults: readonly Fault[], status: number): Outcome => ({
  lines,
  json: faults.length > 0 ? { ...json, errors: faults } : json,
  notes: faults.flatMap((fault) => [`${status === 4 ? 'Warning' : 'Error'}: ${fault.message}`, `  ${fault.hint}`]),
  status: faults.length > 0 ? status : 0,
});
