/** A relay of ours at the other end: `weft.v1.relay.*` of docs/contracts-network.md, over whatever bus it is found on. */
import type { Body, Bus, Reply, Subscription } from '../transport/bus.ts';
import { FaultError } from '../transport/errors.ts';
import { linkSubject, RELAY_OPEN, relayOpenSubject } from '../transport/subjects.ts';
import type { Durable, LinkAck, LinkMessage, LinkPeer, LinkPosition, PeerListener } from './link-peer.ts';

const OPEN_MS = 5_000;
/** Of the relay that has the link already; then any may take it. */
const KNOWN_OPEN_MS = 1_500;
const WINDOW_BYTES = 8 << 20;

export interface RelayLink {
  readonly host: string;
  readonly uid: number;
  readonly owner: string;
  /** Of the session: 32 hex digits. */
  readonly link: string;
  readonly session: string;
  readonly createdAt: string; // ISO 8601
  readonly live: boolean;
  readonly subdir: string;
}

const whole = (value: unknown): number => (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0);

const durableOf = (value: unknown): readonly Durable[] =>
  Array.isArray(value)
    ? value.flatMap((one: unknown) => {
        const { path, number } = (one ?? {}) as Body;
        return typeof path === 'string' && typeof number === 'number' ? [{ path, number }] : [];
      })
    : [];

const ackOf = ({ upTo, durable, ops, missing, full }: Body): LinkAck => ({
  upTo: whole(upTo),
  durable: durableOf(durable),
  ops: whole(ops),
  missing: typeof missing === 'number' ? missing : null,
  full: full === true,
});

const refusalText = (relay: string, refused: unknown): string => {
  const { message } = refused as { message?: unknown };
  const cause = typeof message === 'string' ? message.slice(0, 500) : 'it does not say why';
  return `relay ${relay} refuses what is sent: ${cause} Are both of one version? What waits stays in the spool and is offered again, ever more rarely, until a relay takes it`;
};

const oversizeText = (message: LinkMessage): string => {
  const where = 'path' in message ? ` of ${message.path}` : '';
  return `a message of kind ${message.kind}${where} is larger than a bus takes. What waits stays in the spool; this is a defect: report it`;
};

export class RelayPeer implements LinkPeer {
  readonly #bus: Bus;
  readonly #link: RelayLink;
  readonly #listener: PeerListener;
  readonly #status: Subscription;
  /** Closed with the link. */
  readonly #own: Bus | null;
  #acks: Subscription | null = null;
  #relay = '';
  #subject = '';
  #epoch = 0;
  /** The relay that has the link is asked first, unless it could not take what was sent, or says nothing to it. */
  #trust = false;
  #heard = false;
  #isUnheard = false;
  #ids = 0;

  /** `own`: closed with it; `former`: the relay that had the link before this process. */
  constructor(
    bus: Bus,
    link: RelayLink,
    listener: PeerListener,
    { own = null, former = null }: { readonly own?: Bus | null; readonly former?: string | null } = {},
  ) {
    this.#own = own;
    this.#relay = former ?? '';
    this.#trust = former !== null;
    this.#bus = bus;
    this.#link = link;
    this.#listener = listener;
    this.#status = bus.onStatus((status) => (status === 'connected' ? listener.connected() : listener.cut()));
  }

  async open(epoch: number): Promise<LinkPosition> {
    const { host, uid, owner, link, session, createdAt, live, subdir } = this.#link;
    const id = `${link}-${epoch}-${++this.#ids}`;
    const place = { v: 1, id, host, uid, owner, link, epoch, session, createdAt, live, subdir };
    const known =
      this.#trust && !this.#isUnheard ? await this.#bus.request(relayOpenSubject(this.#relay), place, KNOWN_OPEN_MS) : null;
    const isDecided = known !== null && (known.ok || known.fault.code === 'stale-epoch');
    const reply: Reply = isDecided ? known : await this.#bus.request(RELAY_OPEN, place, OPEN_MS);
    if (!reply.ok) throw new FaultError(reply.fault);
    const { relay, window, directory, streams: held, ops } = reply.body;
    this.#epoch = epoch;
    this.#trust = true;
    this.#heard = false;
    this.#isUnheard = false;
    this.#listen(String(relay));
    await this.#bus.flush();
    return {
      relay: this.#relay,
      window: whole(window) || WINDOW_BYTES,
      directory: typeof directory === 'string' ? directory : null,
      durable: durableOf(held),
      ops: whole(ops),
    };
  }

  send(message: LinkMessage): boolean {
    const wasSent = this.#publish(message);
    // A connection that stands takes everything but what is too large for any message.
    if (!wasSent && this.#bus.status === 'connected') this.#listener.refused(oversizeText(message));
    if (wasSent && !this.#heard) this.#isUnheard = true;
    return wasSent;
  }

  #publish(message: LinkMessage): boolean {
    const head = { v: 1, epoch: this.#epoch };
    if (message.kind !== 'packet') return this.#bus.publish(this.#subject, { ...head, ...message });
    const { bytes, room, ...content } = message;
    return this.#bus.publishAround(this.#subject, { ...head, ...content }, 'bytes', { bytes, room });
  }

  async close(): Promise<void> {
    this.#acks?.stop();
    this.#status.stop();
    await this.#own?.close();
  }

  #listen(relay: string): void {
    if (relay === this.#relay && this.#acks) return;
    this.#acks?.stop();
    this.#relay = relay;
    this.#subject = linkSubject('data', { ...this.#link, relay });
    this.#acks = this.#bus.subscribe(linkSubject('ack', { ...this.#link, relay }), ({ body }) => {
      if (body.reopen === true) this.#listener.forgotten();
      else if (body.epoch !== this.#epoch) return;
      else this.#hear(relay, body);
    });
  }

  #hear(relay: string, body: Body): void {
    [this.#heard, this.#isUnheard] = [true, false];
    this.#trust = body.full !== true && !body.refused;
    if (body.refused) this.#listener.refused(refusalText(relay, body.refused));
    else this.#listener.acked(ackOf(body));
  }
}
