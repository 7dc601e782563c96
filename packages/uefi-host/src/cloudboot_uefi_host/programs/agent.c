/* The agent: it lets a program outside the machine call the firmware's services.

   It takes memory at a fixed place, leaves its handle and the system table there, and spins. A debugger stops the
   processor in the loop, at TPL_APPLICATION, and calls services from there; what it publishes lies in that memory. */
#include <efi.h>

#define PLACE 0x8000000ull
#define PAGES 0x400 /* 4 MiB */
#define SIGNATURE 0x544e454741444c43ull /* "CLDAGENT" */
#define ALLOCATE_ADDRESS 2
#define BOOT_SERVICES_CODE 3

struct mailbox {
  uint64_t signature;
  void *image;
  EFI_SYSTEM_TABLE *table;
  uint64_t loop;
};

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  EFI_BOOT_SERVICES *bs = table->BootServices;
  uint64_t place = PLACE;
  uint64_t status = bs->AllocatePages(ALLOCATE_ADDRESS, BOOT_SERVICES_CODE, PAGES, &place);
  if (status) return status;
  /* The firmware resets a machine whose boot option does not return within five minutes. */
  bs->SetWatchdogTimer(0, 0, 0, 0);
  struct mailbox *box = (struct mailbox *)place;
  box->image = image;
  box->table = table;
  __asm__ volatile(
      "lea 1f(%%rip), %%rax\n\t"
      "mov %%rax, %0\n\t"
      "mov %2, %1\n"
      "1: pause\n\t"
      "jmp 1b"
      : "=m"(box->loop), "=m"(box->signature)
      : "r"(SIGNATURE)
      : "rax", "memory");
  return 0;
}
