/* What a boot manager and a loader do that succeed: they read the small partitions, print nothing, and take the machine
   over. It then switches the machine off. */
#include <efi.h>

#define BY_PROTOCOL 2
#define LOADER_DATA 2
#define SMALL (16u << 20)
#define SHUTDOWN 2

static const uint8_t block_io_guid[16] = EFI_BLOCK_IO_PROTOCOL_GUID;
static uint8_t map[65536];

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  EFI_BOOT_SERVICES *bs = table->BootServices;
  EFI_RUNTIME_SERVICES *rs = table->RuntimeServices;
  uint64_t count = 0;
  void **handles = 0;
  bs->LocateHandleBuffer(BY_PROTOCOL, (void *)block_io_guid, 0, &count, (void *)&handles);
  for (uint64_t i = 0; i < count; i++) {
    EFI_BLOCK_IO_PROTOCOL *disk = 0;
    if (bs->HandleProtocol(handles[i], (void *)block_io_guid, (void *)&disk)) continue;
    /* EFI_BLOCK_IO_MEDIA: MediaId at 0, LogicalPartition at 6, BlockSize at 12, LastBlock at 24. */
    const uint8_t *media = disk->Media;
    uint64_t blocks = *(const uint64_t *)(media + 24) + 1, size = blocks * *(const uint32_t *)(media + 12);
    void *buffer = 0;
    if (!media[6] || size > SMALL || bs->AllocatePool(LOADER_DATA, size, (void *)&buffer)) continue;
    disk->ReadBlocks(disk, *(const uint32_t *)media, 0, size, buffer);
  }
  for (int tries = 0; tries < 3; tries++) {
    uint64_t size = sizeof map, key = 0, each = 0;
    uint32_t version = 0;
    if (bs->GetMemoryMap(&size, (void *)map, &key, &each, &version)) return 1;
    if (!bs->ExitBootServices(image, key)) rs->ResetSystem(SHUTDOWN, 0, 0, 0);
  }
  return 1;
}
