/** Commands of this program by the tools that the gateway's errors advise. */
const commandByTool: Readonly<Record<string, string>> = {
  get_gpu_health: 'health',
  get_gpu_inventory: 'inventory',
  analyze_xid_errors: 'xid',
  explain_failure: 'diagnose',
};

/**
 * What a tool's error says, for a person at a terminal: without its code and the tool that was called, and with commands in place of tools.
 *
 * @param text as the tool told it, harmless already.
 * @param lacksNamespace whether a pod or job was asked for without a namespace, so that the context's was taken.
 */
export function sayToolFailure(text: string, lacksNamespace: boolean): string {
  const words = text
    .replace(/^[A-Z_]{3,40}: /, '')
    .replace(/^Invalid arguments for [a-z_]{1,60}: /, '')
    .replaceAll(/\b[a-z]+(?:_[a-z]+){1,5}\b/g, (name) =>
      Object.hasOwn(commandByTool, name) ? `kubectl mcp ${commandByTool[name]}` : name,
    );
  const isElsewhere = lacksNamespace && /; no (?:pods|jobs) were found there\./.test(words);
  return isElsewhere ? `${words} If it is in another namespace, give -n NAMESPACE.` : words;
}
