// What is tested: the source, or the file that is published.
export const { createPawl, plan, backoff, refused, repeatable } = await import(process.env.PAWL_SUBJECT ?? "../pawl.js");
