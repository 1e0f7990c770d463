/** Who can call: whose token it was. */
export const principals = { reader: 'reader', operator: 'operator' } as const;
