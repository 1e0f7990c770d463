let end: Promise<void> | undefined;

/**
 * The end of this turn of the event loop. Answers that wait for it are written right after each other, so that the clients, and the kernel on
 * their behalf, are woken by the first of them and not by each.
 */
export function endOfTurn(): Promise<void> {
  end ??= new Promise((resolve) => {
    setImmediate(() => {
      end = undefined;
      resolve();
    });
  });
  return end;
}
