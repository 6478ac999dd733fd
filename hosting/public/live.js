// What Firestore tells by itself: the balance, the newest pictures and the newest ledger entries of a user.

import {
  collection,
  connectFirestoreEmulator,
  doc,
  getDocsFromServer,
  getFirestore,
  limit,
  onSnapshot,
  orderBy,
  query,
  startAfter,
  where,
} from "./vendor/firebase-12.19.0/firebase-firestore.js";
import { app, emulators } from "./firebase.js";

const db = getFirestore(app);
if (emulators.firestore) connectFirestoreEmulator(db, emulators.firestore.host, emulators.firestore.port);

// Gives the balance whenever it changes, and whether Firestore can be reached; null without an account.
export function followBalance(userId, { next, fail }) {
  return onSnapshot(
    doc(db, "users", userId),
    { includeMetadataChanges: true },
    (found) => next(found.data()?.credits ?? null, !found.metadata.fromCache),
    fail,
  );
}

// Gives a request of the user's own whenever it changes. While Firestore cannot be reached, the SDK gives one that it
// does not know as missing: that says nothing.
export function followRequest(requestId, { next, fail }) {
  return onSnapshot(
    doc(db, "generationRequests", requestId),
    (found) => found.exists() && next({ ...found.data(), id: found.id }),
    fail,
  );
}

export const picturesOf = (userId) =>
  new Feed(query(collection(db, "generationRequests"), where("userId", "==", userId)), "createdAt", 24);

export const entriesOf = (userId) => new Feed(collection(db, "users", userId, "transactions"), "timestamp", 25);

// A list, newest first: the first page follows Firestore, older pages are read once, since what is old stays as it is.
// What is pending does not, so each such document is followed wherever it stands.
class Feed {
  constructor(source, timeField, pageSize) {
    Object.assign(this, { source, timeField, pageSize, items: new Map(), pending: new Map(), oldest: null, hasMore: false });
  }

  follow({ next, fail }) {
    Object.assign(this, { next, fail });
    const newest = query(this.source, orderBy(this.timeField, "desc"), limit(this.pageSize));
    const stop = onSnapshot(newest, { includeMetadataChanges: true }, (found) => this.#takeNewest(found), fail);
    return () => [stop, ...this.pending.values()].forEach((each) => each());
  }

  async more() {
    if (!this.hasMore) return;
    const older = query(this.source, orderBy(this.timeField, "desc"), startAfter(this.oldest), limit(this.pageSize));
    const found = await getDocsFromServer(older);
    this.oldest = found.docs.at(-1) ?? this.oldest;
    this.hasMore = found.size === this.pageSize;
    this.#take(found.docs);
  }

  // What comes from the cache may be a part of the page, or none of it.
  #takeNewest(found) {
    if (found.metadata.fromCache && found.empty) return;
    if (!found.metadata.fromCache && !this.oldest && found.size) {
      this.oldest = found.docs.at(-1);
      this.hasMore = found.size === this.pageSize;
    }
    // A document that only slid out of the first page is kept: none is ever deleted.
    this.#take(found.docs);
  }

  #take(docs) {
    for (const each of docs) {
      this.#keep(each);
      this.#followPending(each);
    }
    this.next(this.sorted, this.hasMore);
  }

  #followPending(found) {
    const stop = this.pending.get(found.id);
    const isPending = found.get("status") === "pending";
    if (isPending && !stop) {
      const take = (changed) => changed.exists() && this.#take([changed]);
      this.pending.set(found.id, onSnapshot(found.ref, take, this.fail));
    } else if (!isPending && stop) {
      stop();
      this.pending.delete(found.id);
    }
  }

  get sorted() {
    return [...this.items.values()].sort((one, other) => other.time - one.time || (one.id < other.id ? 1 : -1));
  }

  // A document that somebody made by hand, without a real time, must not hide the others.
  #keep(found) {
    const time = found.get(this.timeField)?.toDate?.();
    if (time) this.items.set(found.id, { ...found.data(), id: found.id, time });
  }
}
