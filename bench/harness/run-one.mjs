// The process of one benchmark: what it leaves behind, or takes with it, is nobody else's. Started by bench/run.mjs with the benchmark's file.
const [, , file] = process.argv;
const { run } = await import(file);
const { figures, tables, notes } = await run();
process.send({ figures, tables, notes }, () => process.exit(0));
