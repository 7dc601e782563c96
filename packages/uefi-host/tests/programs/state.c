/* Prints what the processor tells a program: counters, and on amd64 the state that the specification promises. */
#include "answers.h"

static uint64_t counter(void) {
#if defined(__x86_64__)
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
  uint64_t value;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
  uint64_t value;
  __asm__ volatile("rdtime %0" : "=r"(value));
  return value;
#endif
}

static uint64_t second_counter(void) {
#if defined(__x86_64__)
  uint32_t low, high, processor;
  __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(processor));
  return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
  uint64_t value;
  __asm__ volatile("mrs %0, cntpct_el0" : "=r"(value));
  return value;
#else
  uint64_t value;
  __asm__ volatile("rdcycle %0" : "=r"(value));
  return value;
#endif
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  (void)image;
  st = table;
  EFI_BOOT_SERVICES *bs = table->BootServices;
  uint64_t first = counter();
  show("counter", first);
  show("second", second_counter());
  uint64_t before = counter();
  bs->Stall(1000000);
  show("stalled", counter() - before);
  /* The same code where the program itself puts it, as a loader does that does not use LoadImage. */
  void *copy = 0;
  bs->AllocatePages(0, 1, 1, (void *)&copy);
  for (int i = 0; i < 128; i++) ((volatile uint8_t *)copy)[i] = ((uint8_t *)counter)[i];
#if defined(__aarch64__)
  __asm__ volatile("dc cvau, %0; dsb ish; ic ivau, %0; dsb ish; isb" ::"r"(copy) : "memory");
#elif defined(__riscv)
  __asm__ volatile("fence.i" ::: "memory");
#endif
  show("copied", ((uint64_t(*)(void))copy)());
  show("sp", (uint64_t)__builtin_frame_address(0) & 7);
#if defined(__x86_64__)
  uint64_t value;
  uint16_t selector;
  struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
  } gdt;
  __asm__ volatile("mov %%cr0, %0" : "=r"(value));
  show("cr0", value);
  __asm__ volatile("mov %%cr4, %0" : "=r"(value));
  show("cr4", value);
  __asm__ volatile("mov %%cr3, %0" : "=r"(value));
  uint64_t *level4 = (uint64_t *)(value & ~0xfffull);
  uint64_t *level3 = (uint64_t *)(level4[0] & ~0xfffull);
  uint64_t *level2 = (uint64_t *)(level3[0] & ~0xfffull);
  show("maps-2m", level2[1]);
  __asm__ volatile("mov %%cs, %0" : "=r"(selector));
  show("cs", selector);
  __asm__ volatile("mov %%ds, %0" : "=r"(selector));
  show("ds", selector);
  __asm__ volatile("sgdt %0" : "=m"(gdt));
  show("gdt-limit", gdt.limit);
  show("gdt-code", *(uint64_t *)(gdt.base + 0x38));
  uint32_t a = 1, b, c = 0, d;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  show("rdrand", c >> 30 & 1);
  show("sse2", d >> 26 & 1);
  a = 7, c = 0;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  show("rdseed", b >> 18 & 1);
  uint16_t control;
  uint32_t mxcsr;
  __asm__ volatile("fnstcw %0" : "=m"(control));
  show("x87", control);
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  show("mxcsr", mxcsr);
  uint64_t flags;
  __asm__ volatile("pushfq; pop %0" : "=r"(flags));
  show("direction", flags >> 10 & 1);
  /* Reloading the segments gives the same machine. */
  __asm__ volatile("mov %%ds, %%ax; mov %%ax, %%ds; mov %%ax, %%es; mov %%ax, %%ss" ::: "rax");
#endif
#if defined(__aarch64__)
  uint64_t value;
  __asm__ volatile("mrs %0, CurrentEL" : "=r"(value));
  show("el", value >> 2);
  __asm__ volatile("mrs %0, sctlr_el1" : "=r"(value));
  show("sctlr", value);
  __asm__ volatile("mrs %0, tcr_el1" : "=r"(value));
  show("tcr", value);
  /* What the processor itself says of the mapping: of code, of data, of an address that a table cannot have. */
  static uint64_t data;
  __asm__ volatile("at s1e1r, %1; isb; mrs %0, par_el1" : "=r"(value) : "r"(efi_main));
  show("maps-code", value);
  show("code", (uint64_t)efi_main);
  __asm__ volatile("at s1e1w, %1; isb; mrs %0, par_el1" : "=r"(value) : "r"(&data));
  show("maps-data", value);
  show("data", (uint64_t)&data);
  __asm__ volatile("at s1e1r, %1; isb; mrs %0, par_el1" : "=r"(value) : "r"(1ull << 40));
  show("maps-nothing", value);
  /* An access that is not aligned, in the table's own GiB. */
  uint64_t pair[2] = {0x1122334455667788, 0x99aabbccddeeff00};
  __asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"((uint64_t)pair + 1), "m"(pair));
  show("unaligned", value);
#endif
  show("end", 0);
  return 0;
}
