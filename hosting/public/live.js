// What Firestore tells by itself: the balance, the newest pictures and the newest ledger entries of a user.

import {
  collection,
  connectFirestoreEmulator,
  doc,
  getDocs,
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

export const picturesOf = (userId) =>
  new Feed(query(collection(db, "generationRequests"), where("userId", "==", userId)), "createdAt", 24);

export const entriesOf = (userId) => new Feed(collection(db, "users", userId, "transactions"), "timestamp", 25);

// A list, newest first: the first page follows Firestore, older pages are read once, since what is old stays as it is.
class Feed {
  constructor(source, timeField, pageSize) {
    Object.assign(this, { source, timeField, pageSize, items: new Map(), oldest: null, hasMore: false });
  }

  follow({ next, fail }) {
    this.next = next;
    const newest = query(this.source, orderBy(this.timeField, "desc"), limit(this.pageSize));
    return onSnapshot(
      newest,
      (found) => {
        // A document that only slid out of the first page is kept: none is ever deleted.
        found.forEach((each) => this.items.set(each.id, this.#read(each)));
        if (!this.oldest && found.size) {
          this.oldest = found.docs.at(-1);
          this.hasMore = found.size === this.pageSize;
        }
        next(this.sorted, this.hasMore);
      },
      fail,
    );
  }

  async more() {
    if (!this.hasMore) return;
    const older = query(this.source, orderBy(this.timeField, "desc"), startAfter(this.oldest), limit(this.pageSize));
    const found = await getDocs(older);
    found.forEach((each) => this.items.set(each.id, this.#read(each)));
    this.oldest = found.docs.at(-1) ?? this.oldest;
    this.hasMore = found.size === this.pageSize;
    this.next(this.sorted, this.hasMore);
  }

  get sorted() {
    return [...this.items.values()].sort((one, other) => other.time - one.time || (one.id < other.id ? 1 : -1));
  }

  #read(found) {
    return { ...found.data(), id: found.id, time: found.get(this.timeField).toDate() };
  }
}
