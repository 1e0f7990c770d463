/** A little more than the 330 s after which an agent's own transport gives up, so that no reset is cut short here. */
export const operatorCallMilliseconds = 335_000;
