/** Commands about what waits for relays: showing it, and throwing it away. */
import { failed, refused, succeeded } from '../transport/errors.ts';
import type { Caller, Handler } from './commands.ts';
import type { DaemonParts } from './daemon-parts.ts';
import { dropParcel, isSent, parcelViews } from './parcels.ts';
import { faultOfRefusal, refusedFrom } from './refused.ts';

/** What this caller may see. */
export const parcelsOf = (parts: DaemonParts, caller: Caller) =>
  parcelViews(parts).filter(({ uid }) => caller.all || uid === caller.uid);

const drop: Handler<'parcel.drop'> = async (parts, caller, { parcel, all = false }) => {
  if (all === (parcel !== undefined)) return failed('bad-message', { field: 'parcel', cause: 'either it or `all` is needed' });
  const own = parcelsOf(parts, caller);
  const meant = all ? own.filter(({ id }) => isSent(parts, id)) : own.filter(({ id }) => id === parcel);
  if (parcel !== undefined && meant.length === 0) return failed('parcel-not-found', { parcel });
  const dropped = [];
  for (const { id, what } of meant) {
    try {
      dropped.push({ id, what, bytes: await dropParcel(parts, id) });
    } catch (thrown) {
      return refused(faultOfRefusal(refusedFrom(thrown).refusal));
    }
  }
  return succeeded({ dropped, bytes: dropped.reduce((sum, { bytes }) => sum + bytes, 0) });
};

export const PARCEL_HANDLERS: { readonly [C in 'parcel.list' | 'parcel.drop']: Handler<C> } = {
  'parcel.list': async (parts, caller) => succeeded({ parcels: parcelsOf(parts, caller) }),
  'parcel.drop': drop,
};
