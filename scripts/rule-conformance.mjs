// Prints what every Xid of the catalogue asks for against the vendor's bucket, one line of a log each, and the exceptions with their reason.
// Fails when an exception does not say why, or a bucket has no action.
import { conformanceRows } from '@k8s-gpu-mcp/core';

const { buckets, rows, exceptions } = conformanceRows();
for (const { bucket, action } of buckets) console.log(`bucket  ${bucket.padEnd(30)} ${action}`);
for (const { xid, line, bucket, expected, given } of rows) {
  if (line === 'plain')
    console.log(
      `xid     ${String(xid).padEnd(4)} ${(bucket ?? '-').padEnd(30)} ${expected === given ? given : `${given} (not ${expected})`}`,
    );
}
for (const { xid, line, expected, given, why } of exceptions)
  console.log(`except  ${xid} (${line}): ${given} instead of ${expected}: ${why ?? 'NO REASON GIVEN'}`);
const unexplained = exceptions.filter(({ why }) => why === undefined).length;
const silent = buckets.filter(({ action }) => action === undefined).length;
console.log(
  `${buckets.length} buckets, ${rows.length} lines, ${exceptions.length} exceptions, ${unexplained + silent} without a reason or an action`,
);
process.exit(unexplained + silent === 0 ? 0 : 1);
