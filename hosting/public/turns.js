// Answers may come in another order than they were asked for, or after their reader has signed out.

// Of a view that shows one thing at a time: only the turn that began last may show what it got.
export class Turns {
  #last = null;

  // Gives whether this turn is still the last one.
  begin() {
    const mine = (this.#last = {});
    return () => this.#last === mine;
  }

  get isOpen() {
    return this.#last !== null;
  }

  end() {
    this.#last = null;
  }
}
